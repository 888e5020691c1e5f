"""Extraction that was interrupted, or meets what is there, or a place that it must leave alone."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import cv2
import pytest
from extracting import COMPRESSED, FOLDER, ROOT, SECOND_NS, extract, manifest, scene, tree

from training.bags.writing import ImageBagWriter
from training.extraction.summary import write_summary


def test_a_second_run_adds_nothing_and_touches_nothing(camera_bag, tmp_path):
    bag, out = camera_bag(), tmp_path / 'out'
    extract(bag, '-o', out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob('?_*.jpg')}
    lines = manifest(out)
    assert extract(bag, '-o', out) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob('?_*.jpg')} == before
    assert manifest(out) == lines


@pytest.mark.parametrize('lost_bytes', [1, 40, 2000])
def test_a_cut_manifest_is_mended(camera_bag, tmp_path, lost_bytes):
    bag, out = camera_bag(), tmp_path / 'out'
    extract(bag, '-o', out)
    images, lines, file = tree(out), manifest(out), out / FOLDER / 'manifest.jsonl'
    file.write_bytes(file.read_bytes()[:-lost_bytes])
    assert extract(bag, '-o', out) == 0
    assert tree(out) == images
    assert manifest(out) == lines


def test_a_broken_line_in_the_manifest_is_named(camera_bag, tmp_path, capsys):
    bag, out = camera_bag(count=2), tmp_path / 'out'
    extract(bag, '-o', out)
    file = out / FOLDER / 'manifest.jsonl'
    file.write_text('nonsense\n' + file.read_text())
    assert extract(bag, '-o', out) == 1
    assert 'line 1 of' in capsys.readouterr().err


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_summary_is_written_loses_nothing(
    camera_bag, tmp_path, monkeypatch, number
):
    def with_a_signal(root):
        signal.raise_signal(number)
        write_summary(root)

    monkeypatch.setattr('training.extraction.command.write_summary', with_a_signal)
    out = tmp_path / 'out'
    assert extract(camera_bag(count=2), '-o', out) == 0
    assert (out / 'summary.html').is_file()


def test_killed_in_the_middle_then_resumed_gives_the_same_folder(camera_bag, tmp_path):
    bag = camera_bag(count=400, size=(48, 64))
    extract(bag, '-o', tmp_path / 'whole')
    out = tmp_path / 'killed'
    command = [sys.executable, '-m', 'training.cli', 'extract', str(bag), '-o', str(out)]
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, **quiet)
    while process.poll() is None and sum(1 for _ in out.rglob('*.jpg')) < 20:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (out / FOLDER / '.half.jpg.part').write_bytes(b'half')
    assert extract(bag, '-o', out) == 0
    assert tree(out) == tree(tmp_path / 'whole')
    assert manifest(out) == manifest(tmp_path / 'whole')


@pytest.mark.parametrize('cut', [False, True])
@pytest.mark.parametrize('options', [['--min-motion', '1'], ['--clean'], ['--every', '0.2s']])
def test_mended_frames_are_chosen_as_if_nothing_had_been(tmp_path, options, cut):
    """Where the others do not depend on them, and also when the mending is interrupted."""
    data = [cv2.imencode('.jpg', scene(number // 6))[1].tobytes() for number in range(40)]
    with ImageBagWriter(tmp_path / 'drive', storage='sqlite3') as bag:
        for number, picture in enumerate(data):
            # Equal pictures that can be told apart in the file.
            comment = b'\xff\xfe\x00\x06%04d' % number
            stamp_ns = SECOND_NS + number * SECOND_NS // 10
            bag.write_compressed(COMPRESSED, stamp_ns, picture[:2] + comment + picture[2:])
    (file,) = (tmp_path / 'drive').glob('*.db3')
    whole, broken = file.read_bytes(), bytearray(file.read_bytes())
    extract(file, '-o', tmp_path / 'once', *options)
    for number in (8, 9, 22, 39):
        broken[broken.index(b'\xff\xfe\x00\x06%04d' % number)] = 0
    file.write_bytes(broken)
    out = tmp_path / 'out'
    assert extract(file, '-o', out, *options) == 3
    lines = manifest(out)
    file.write_bytes(whole)
    assert extract(file, '-o', out, *options) == 0
    if cut:
        mended = manifest(out)
        path = out / FOLDER / 'manifest.jsonl'
        texts = path.read_text().splitlines(keepends=True)
        path.write_text(''.join(texts[: len(lines) + 1]))
        assert extract(file, '-o', out, *options) == 0
        assert manifest(out) == mended
    assert tree(out) == tree(tmp_path / 'once')


def test_a_mended_frame_for_which_another_stands_is_one_too_many(camera_bag, jpeg, tmp_path):
    (file,) = camera_bag(count=20, storage='sqlite3').glob('*.db3')
    out, whole = tmp_path / 'out', file.read_bytes()
    file.write_bytes(whole.replace(jpeg(0)[-40:], bytes(40)))
    assert extract(file, '-o', out, '--max-frames', 4) == 3
    before = tree(out)
    assert extract(file, '-o', out, '--max-frames', 4) == 3
    file.write_bytes(whole)
    for _ in range(2):
        assert extract(file, '-o', out, '--max-frames', 4) == 0
        assert tree(out) == before
    assert manifest(out)[-1]['reason'] == 'max-frames'


@pytest.fixture
def copied_in_part(camera_bag):
    """A .db3 of which only the first half was copied yet, and its whole content."""
    (file,) = camera_bag(count=60, size=(96, 128), storage='sqlite3').glob('*.db3')
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    return file, whole


def test_frames_that_were_damaged_are_looked_at_again(camera_bag, jpeg, tmp_path):
    (file,) = camera_bag(count=60, storage='sqlite3').glob('*.db3')
    out, whole = tmp_path / 'out', file.read_bytes()
    broken = whole
    for number in (7, 8, 59):
        broken = broken.replace(jpeg(number)[-40:], bytes(40))
    file.write_bytes(broken)
    assert extract(file, '-o', out) == 3
    before = manifest(out)
    assert sum(line['reason'] == 'damaged' for line in before) == 3
    assert extract(file, '-o', out) == 3
    assert manifest(out) == before
    file.write_bytes(whole)
    assert extract(file, '-o', out) == 0
    pictures = {data for name, data in tree(out).items() if name.startswith(FOLDER)}
    assert pictures == {jpeg(number) for number in range(60)}
    assert sum(line.get('again', False) for line in manifest(out)) == 3
    after = manifest(out)
    assert extract(file, '-o', out) == 0
    assert manifest(out) == after
    summary = (out / 'summary.html').read_text()
    assert '60 of 60 frames kept, 0 not' in summary


@pytest.mark.parametrize('options', [[], ['--min-motion', '1']])
def test_a_recording_that_was_copied_on_gets_no_more_than_max_frames(
    copied_in_part, tmp_path, options
):
    file, whole = copied_in_part
    out = tmp_path / 'out'
    extract(file, '-o', out, '--max-frames', 10, *options)
    assert len(tree(out)) == 10
    file.write_bytes(whole)
    extract(file, '-o', out, '--max-frames', 10, *options)
    assert len(tree(out)) == 10


def test_two_extractions_to_one_folder_do_not_mix(camera_bag, tmp_path, capsys):
    import fcntl

    bag, out = camera_bag(count=1), tmp_path / 'out'
    (out / FOLDER).mkdir(parents=True)
    with (out / FOLDER / 'manifest.jsonl').open('ab') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert extract(bag, '-o', out) == 1
    assert 'another process' in capsys.readouterr().err


def test_equal_stamps_get_numbers_and_nothing_is_overwritten(tmp_path, jpeg):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(3):
            bag.write_compressed(COMPRESSED, SECOND_NS, jpeg(number))
    out = tmp_path / 'out'
    for _ in range(2):
        assert extract(tmp_path / 'drive', '-o', out) == 0
        assert tree(out) == {
            f'{FOLDER}/1_000000000.jpg': jpeg(0),
            f'{FOLDER}/1_000000000_2.jpg': jpeg(1),
            f'{FOLDER}/1_000000000_3.jpg': jpeg(2),
        }


def test_a_foreign_file_of_the_same_name_stays(camera_bag, jpeg, tmp_path):
    out = tmp_path / 'out'
    (out / FOLDER).mkdir(parents=True)
    (out / FOLDER / '1_000000000.jpg').write_bytes(b'mine')
    extract(camera_bag(count=1), '-o', out)
    assert tree(out)[f'{FOLDER}/1_000000000.jpg'] == b'mine'
    assert tree(out)[f'{FOLDER}/1_000000000_2.jpg'] == jpeg(0)


def test_a_run_that_failed_before_its_first_image_binds_nobody(camera_bag, tmp_path):
    camera_bag(count=3)
    out = tmp_path / 'out'
    assert extract(tmp_path / 'drive', '-o', out, '--anonymise', 'false {input} {output}') == 1
    assert extract(tmp_path / 'drive', '-o', out) == 0
    assert len(manifest(out)) == 3


def test_what_a_disk_cuts_short_does_not_become_an_image(camera_bag, tmp_path, capsys):
    """A limit on the size of files stands in for the end of the disk: it, too, cuts a write."""
    bag, out = camera_bag(count=3, size=(96, 128)), tmp_path / 'out'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        assert extract(bag, '-o', out) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f'{out / FOLDER}: File too large' in capsys.readouterr().err
    assert not tree(out)
    assert extract(bag, '-o', out) == 0
    assert len(tree(out)) == 3


def test_an_output_inside_the_recording_is_refused(camera_bag, tmp_path, capsys):
    bag = camera_bag(count=1)
    for source, out in ((bag, bag), (bag, bag / 'a' / 'b'), (bag / 'drive.mcap', bag / 'images')):
        assert extract(source, '-o', out) == 1
        told = capsys.readouterr().err
        assert f'{out} would lie in the recording' in told
        assert f'such as {tmp_path / "drive_results"}' in told
    assert sorted(path.name for path in bag.iterdir()) == ['drive.mcap', 'metadata.yaml']


def test_folders_that_would_get_into_the_recording_by_its_name_are_refused(
    camera_bag, tmp_path, capsys
):
    bag = camera_bag(count=1)
    assert extract(bag, '-o', tmp_path) == 1
    assert f'would lie in the recording {bag}' in capsys.readouterr().err
    assert sorted(path.name for path in bag.iterdir()) == ['drive.mcap', 'metadata.yaml']


def test_images_may_stand_beside_a_file_without_metadata(camera_bag, tmp_path):
    (camera_bag(count=1) / 'drive.mcap').rename(tmp_path / 'drive.mcap')
    assert extract(tmp_path / 'drive.mcap', '-o', tmp_path) == 0


def test_a_place_that_cannot_be_written_is_told_first(camera_bag, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'drive').write_text('mine')
    assert extract(camera_bag(count=1), '-o', tmp_path / 'out') == 1
    assert f'{tmp_path / "out" / FOLDER} cannot be written' in capsys.readouterr().err


def test_another_recording_of_the_same_name_is_not_mixed_in(camera_bag, tmp_path, capsys):
    bag = camera_bag(count=2)
    extract(bag, '-o', tmp_path / 'out')
    before = tree(tmp_path / 'out')
    other = tmp_path / 'other' / 'drive'
    shutil.copytree(bag, other)
    assert extract(other, '-o', tmp_path / 'out') == 1
    assert f'holds frames of {bag}, which has the same name as {other}' in capsys.readouterr().err
    assert tree(tmp_path / 'out') == before


def test_a_recording_that_was_moved_is_still_the_same(camera_bag, tmp_path):
    bag = camera_bag(count=2)
    extract(bag, '-o', tmp_path / 'out')
    moved = tmp_path / 'archive' / 'drive'
    moved.parent.mkdir()
    bag.rename(moved)
    assert extract(moved, '-o', tmp_path / 'out') == 0
    assert len(manifest(tmp_path / 'out')) == 2
