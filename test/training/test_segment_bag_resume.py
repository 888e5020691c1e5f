"""`hrda segment-bag` interrupted, damaged, on a full disk, or where something is already."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_processes
from segmenting import CAMERA, SECOND_NS, TOPIC, command, topics

from training.bags import mcap_writer
from training.bags.writing import ImageBagWriter
from training.whole_files import part_of

FRAMES = 25
BLOB = 'std_msgs/msg/UInt8MultiArray'


@pytest.fixture
def long_bag(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    """Small frames between messages so large that the result has several chunks."""
    rng = np.random.default_rng(0)
    with ImageBagWriter(tmp_path / 'long') as bag:
        types = bag._store.types
        layout = types['std_msgs/msg/MultiArrayLayout'](dim=[], data_offset=0)
        for number in range(FRAMES):
            record_ns = SECOND_NS + number
            bag.write_compressed(TOPIC, record_ns, jpeg(number))
            blob = rng.integers(0, 256, 150_000, np.uint8)
            bag.write('/blob', BLOB, record_ns, layout=layout, data=blob)
    return tmp_path / 'long'


def test_killed_again_and_again_the_result_is_the_same_to_the_byte(
    long_bag: Path, segment: Callable[..., int], checkpoint: Path, tmp_path: Path
) -> None:
    assert segment(long_bag, '-o', tmp_path / 'whole.mcap') == 0
    out = tmp_path / 'killed.mcap'
    for size in (1, 500_000, 1_500_000):
        process = tiny_processes.start(command(checkpoint, long_bag, '-o', out), tmp_path / 'log')
        while process.is_alive() and (
            not part_of(out).exists() or part_of(out).stat().st_size < size
        ):
            time.sleep(0.001)
        process.kill()
        process.join()
        assert not out.exists(), (tmp_path / 'log').read_text()
    assert segment(long_bag, '-o', out) == 0
    assert out.read_bytes() == (tmp_path / 'whole.mcap').read_bytes()
    assert not part_of(out).exists()


def test_a_signal_stops_in_good_order(
    long_bag: Path, segment: Callable[..., int], checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out.mcap'
    process = tiny_processes.start(command(checkpoint, long_bag, '-o', out), tmp_path / 'log')
    while process.is_alive() and not part_of(out).exists():
        time.sleep(0.001)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert tiny_processes.finish(process) == [130]
    assert 'SIGTERM: stopped; the same command goes on' in (tmp_path / 'log').read_text()
    assert segment(long_bag, '-o', out) == 0
    assert topics(out)[f'{CAMERA}/label'] == FRAMES


def test_a_full_disk_is_told_and_gone_on_from(
    long_bag: Path,
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A limit on the size of files stands in for the end of the disk."""
    out = tmp_path / 'out.mcap'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        assert segment(long_bag, '-o', out) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 'cannot be written (File too large); make room' in capsys.readouterr().err
    assert segment(long_bag, '-o', out) == 0
    told = capsys.readouterr().out
    assert ' 0 were there already' not in told and ' 0 could not be labelled' in told
    assert topics(out)[f'{CAMERA}/label'] == FRAMES


def test_a_frame_that_is_damaged_is_told_also_when_gone_on(
    segment: Callable[..., int],
    jpeg: Callable[..., bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcap_writer, 'CHUNK_BYTES', 10_000)
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(10):
            bag.write_compressed(TOPIC, SECOND_NS * (1 + number), jpeg(number))
            if number == 2:
                fields = {'header': bag.header(5), 'format': 'jpeg'}
                kind = bag._connections[TOPIC].msgtype
                broken = np.frombuffer(b'no picture', np.uint8)
                bag.write(TOPIC, kind, SECOND_NS * (1 + number) + 5, **fields, data=broken)
    out = tmp_path / 'out.mcap'
    assert segment(tmp_path / 'drive', '-o', out) == 3
    first = capsys.readouterr().out
    assert '10 images labelled' in first and '1 could not be labelled' in first
    assert f'{TOPIC} at 3000000005 ns: ' in first
    assert topics(out) == {
        TOPIC: 11, f'{CAMERA}/label': 10, f'{CAMERA}/confidence': 10, f'{CAMERA}/label_info': 1
    }  # fmt: skip
    whole = out.read_bytes()
    part_of(out).write_bytes(whole[: len(whole) * 2 // 3])
    out.unlink()
    assert segment(tmp_path / 'drive', '-o', out) == 3
    second = capsys.readouterr().out
    assert ' 0 were there already' not in second
    assert second.splitlines()[1:] == first.splitlines()[1:]
    assert out.read_bytes() == whole
    assert segment(tmp_path / 'drive', '-o', out) == 3
    third = capsys.readouterr().out
    assert '10 were there already' in third and '1 images could not be labelled when' in third


def test_of_a_bag_that_is_cut_off_what_can_be_read_is_labelled(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = camera_bag(count=20)
    file = bag / 'drive.mcap'
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert segment(bag, '-o', tmp_path / 'out.mcap') == 3
    told = capsys.readouterr().out
    assert 'cut off' in told and 'of the 20 messages' in told
    assert 5 <= topics(tmp_path / 'out.mcap')[f'{CAMERA}/label'] < 15


def test_what_is_done_is_left_alone_and_something_else_is_refused(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag, out = camera_bag(count=2), tmp_path / 'out.mcap'
    assert segment(bag, '-o', out) == 0
    before = out.stat().st_mtime_ns
    capsys.readouterr()
    assert segment(bag, '-o', out) == 0
    assert '0 images labelled, 2 were there already' in capsys.readouterr().out
    assert out.stat().st_mtime_ns == before
    assert segment(bag, '-o', out, '--alpha', '0.2') == 1
    assert 'exists already, made with --alpha 0.5 (now 0.2); delete it' in capsys.readouterr().err
    file = bag / 'drive.mcap'
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)
    assert segment(bag, '-o', out) == 1
    assert 'made with another input' in capsys.readouterr().err
