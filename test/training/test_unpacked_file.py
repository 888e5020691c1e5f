"""Recordings that were compressed as a whole: room for the copy, and what becomes of it."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from extracting import COMPRESSED, ROOT, extract

from training.bags.raw_message import zstd
from training.bags.reading import Bag
from training.scratch import ScratchFolder, clear_abandoned_scratch


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A TMPDIR of the test's own."""
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    return folder


@contextmanager
def files_of_at_most(size):
    """Writing a larger file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def packed(camera_bag):
    return camera_bag(count=40, storage='sqlite3', compression='file')


@pytest.mark.parametrize('options', [[], ['--dry-run']])
def test_want_of_room_is_no_damage(packed, temporary, tmp_path, capfd, options):
    with files_of_at_most(1000):
        assert extract(packed, '-o', tmp_path / 'out', *options) == 1
    error = capfd.readouterr().err
    assert f'cannot be unpacked to {temporary}' in error
    assert 'TMPDIR' in error
    assert list(temporary.iterdir()) == []


def test_with_room_again_everything_is_there(packed, temporary, tmp_path):
    with files_of_at_most(1000):
        extract(packed, '-o', tmp_path / 'out')
    assert extract(packed, '-o', tmp_path / 'out') == 0
    assert len(list(tmp_path.glob('out/*/*/*.jpg'))) == 40


def test_damage_is_told_once_and_of_the_file_that_the_user_has(packed, temporary):
    (file,) = packed.glob('*.db3.zstd')
    file.write_bytes(file.read_bytes()[:1500])
    bag = Bag(packed)
    list(bag.messages([COMPRESSED]))
    assert 'the compressed data is cut off' in bag.damage[0]
    assert not any(str(temporary) in text for text in bag.damage)


def test_a_packed_file_of_several_frames_is_read_to_its_end(packed):
    (file,) = packed.glob('*.db3.zstd')
    plain = zstd.decompress(file.read_bytes())
    file.write_bytes(zstd.compress(plain[:5000]) + zstd.compress(plain[5000:]))
    assert len(list(Bag(packed).messages([COMPRESSED]))) == 40


_HOLD = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from training.scratch import ScratchFolder
folder = ScratchFolder('test')
(folder.path / 'face.png').write_bytes(b'secret')
print(folder.path, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_has_left_is_cleared_away(temporary):
    held = ScratchFolder('test')
    with subprocess.Popen(
        [sys.executable, '-c', _HOLD, str(temporary)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        clear_abandoned_scratch()
        assert sorted(temporary.iterdir()) == sorted([held.path, other])
        process.send_signal(signal.SIGKILL)
        process.wait()
    clear_abandoned_scratch()
    assert list(temporary.iterdir()) == [held.path]
    held.close()
    assert list(temporary.iterdir()) == []
