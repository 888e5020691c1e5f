"""Many recordings and cameras at once: processes, patterns, parts of drives, the summary."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.bags.writing import ImageBagWriter
from training.cli import main
from training.data.frames import target_images
from training.data.settings import TargetSettings
from training.extraction.splits import assign_splits, read_splits

SECOND_NS = 1_000_000_000
ROOT = Path(__file__).parents[2]


def extract(*arguments):
    return main(['extract', *map(str, arguments)])


def tree(root):
    """Every file below a folder with its bytes, but for what tells of the recordings' places."""
    files = (path for path in root.rglob('*.*') if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def frames(root):
    return {name: data for name, data in tree(root).items() if re.search(r'\d_\d+.*jpg$', name)}


@pytest.fixture
def season(camera_bag, tmp_path):
    """Three drives of different length and storage."""
    for name, count, storage in (('a', 6, 'mcap'), ('b', 3, 'sqlite3'), ('c', 9, 'mcap')):
        camera_bag(f'season/{name}', count=count, storage=storage)
    return tmp_path / 'season'


def test_processes_give_what_one_gives(season, tmp_path):
    assert extract(season, '-o', tmp_path / 'one', '--processes', 1) == 0
    assert extract(season, '-o', tmp_path / 'two', '--processes', 2) == 0
    names = ['contact_sheet.jpg', 'summary.html']  # they name their folder
    both = [tree(tmp_path / name) for name in ('one', 'two')]
    assert len(frames(tmp_path / 'one')) == 18
    assert {n: d for n, d in both[0].items() if n not in names} == {
        n: d for n, d in both[1].items() if n not in names
    }


@pytest.mark.parametrize('pattern', ['season/*', 'season/**', '**/*.mcap', 'season/[bc]'])
def test_patterns_are_followed(season, tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    (season / 'notes.txt').write_text('sunny')
    (season / 'empty').mkdir()
    assert extract(pattern, '-o', 'out') == 0
    expected = {'season/*': 'abc', 'season/**': 'abc', '**/*.mcap': 'ac', 'season/[bc]': 'bc'}
    assert sorted(read_splits(Path('out'))) == list(expected[pattern])


def test_a_pattern_that_fits_nothing(tmp_path, capsys):
    assert extract(tmp_path / '*.mcap', '-o', tmp_path / 'out') == 1
    assert 'fits no recording' in capsys.readouterr().err


def test_several_cameras(tmp_path, jpeg):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number, topic in enumerate(('/left', '/right', '/rear')):
            bag.write_compressed(topic, SECOND_NS, jpeg(number))
    topics = ['--topic', '/left', '--topic', 'rear']
    assert extract(tmp_path / 'drive', '-o', tmp_path / 'out', *topics) == 0
    assert frames(tmp_path / 'out') == {
        'drive/left/1_000000000.jpg': jpeg(0),
        'drive/rear/1_000000000.jpg': jpeg(2),
    }


def test_a_recording_without_the_topic_is_named(camera_bag, tmp_path, capsys):
    bags = [camera_bag('a', count=1), camera_bag('b', count=1, topic='/rear/compressed')]
    assert extract(*bags, '-o', tmp_path / 'out', '--topic', '/rear') == 0
    assert f'{bags[0]} has no images on /rear/compressed' in capsys.readouterr().err


@pytest.mark.parametrize('topic', [[], ['--topic', '/cam'], ['--topic', '/cam/compressed']])
def test_a_camera_is_taken_raw_or_compressed_as_each_recording_has_it(
    camera_bag, tmp_path, capsys, topic
):
    compressed = camera_bag('monday', count=2, topic='/cam/compressed')
    with ImageBagWriter(tmp_path / 'tuesday') as bag:
        bag.write_rgb('/cam', SECOND_NS, np.zeros((48, 64, 3), np.uint8))
    bags = [compressed, tmp_path / 'tuesday']
    assert extract(*bags, '-o', tmp_path / 'out', *topic) == 0
    assert [name for name in frames(tmp_path / 'out') if 'tuesday' in name] == [
        'tuesday/cam/1_000000000.jpg'
    ]
    assert len(frames(tmp_path / 'out')) == 3
    assert 'has no images on /cam' in capsys.readouterr().err


def test_an_error_in_one_process_ends_all(season, tmp_path, capsys):
    assert extract(season, '-o', tmp_path / 'out', '--processes', 2, '--crop', '0,0,99,9') == 1
    assert 'leaves the frame' in capsys.readouterr().err


def test_a_damaged_recording_does_not_keep_the_others(season, tmp_path):
    file = season / 'c' / 'c.mcap'
    file.write_bytes(file.read_bytes()[:-3000])
    assert extract(season, '-o', tmp_path / 'out', '--processes', 2) == 3
    assert len(frames(tmp_path / 'out')) > 12


def test_killed_among_processes_then_resumed_gives_the_same_folder(camera_bag, tmp_path):
    for name in ('season/a', 'season/b'):
        camera_bag(name, count=200, size=(48, 64))
    command = [sys.executable, '-m', 'training.cli', 'extract', str(tmp_path / 'season')]
    out = tmp_path / 'killed'
    command += ['-o', str(out), '--processes', '2']
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, **quiet)
    while process.poll() is None and sum(1 for _ in out.rglob('*.jpg')) < 20:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert extract(tmp_path / 'season', '-o', out, '--processes', 1) == 0
    assert extract(tmp_path / 'season', '-o', tmp_path / 'whole', '--processes', 1) == 0
    assert frames(out) == frames(tmp_path / 'whole')
    names = [f'{drive}/camera__image_raw__compressed/manifest.jsonl' for drive in 'ab']
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('processes', ['1', '2'])
def test_signals_stop_in_good_order(camera_bag, tmp_path, processes, number):
    for name in ('season/a', 'season/b'):
        camera_bag(name, count=400, size=(240, 320))
    out = tmp_path / 'out'
    command = [sys.executable, '-m', 'training.cli', 'extract', str(tmp_path / 'season')]
    command += ['-o', str(out), '--processes', processes, '--anonymise', 'numpy:negative']
    # To the whole group, as Ctrl-C in a terminal and `timeout` do.
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    while process.poll() is None and sum(1 for _ in out.rglob('*.jpg')) < 5:
        time.sleep(0.002)
    os.killpg(process.pid, number)
    told = process.communicate()[0].decode()
    assert told == f'{number.name}: stopped; the same command goes on from here\n'
    assert process.returncode == 130
    assert len(frames(out)) < 800
    assert not list(out.rglob('.*.part'))


@pytest.mark.parametrize('wait_s', [0.0, 0.2, 0.5])
def test_ctrl_c_while_processes_start_is_told_in_one_line(camera_bag, tmp_path, wait_s):
    for name in ('season/a', 'season/b'):
        camera_bag(name, count=400, size=(240, 320))
    command = [sys.executable, '-m', 'training.cli', 'extract', str(tmp_path / 'season')]
    command += ['-o', str(tmp_path / 'out'), '--processes', '2', '--anonymise', 'numpy:negative']
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    while not process.stderr.readline().startswith('frames: 0 of'):
        assert process.poll() is None
    time.sleep(wait_s)
    os.killpg(process.pid, signal.SIGINT)
    told, complaints = process.communicate()
    assert told == 'SIGINT: stopped; the same command goes on from here\n'
    assert 'Traceback' not in complaints
    assert process.returncode == 130


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 30), more=st.integers(0, 10), seed=st.integers(0, 99))
def test_parts_of_drives(tmp_path_factory, count, more, seed):
    root = tmp_path_factory.mktemp('splits')
    drives = [f'drive{number}' for number in range(count + more)]
    first = assign_splits(root, drives[:count], 0.2, 0.1, seed)
    assert first == read_splits(root)
    both = assign_splits(root, drives, 0.2, 0.1, seed)
    assert {drive: both[drive] for drive in first} == first
    parts = list(both.values())
    assert 'train' in parts
    if len(parts) >= 3 and not more:
        assert abs(parts.count('val') - 0.2 * len(parts)) <= 1
        assert parts.count('test') >= 1


def test_training_reads_the_part_that_is_for_it(season, tmp_path):
    extract(season, '-o', tmp_path / 'out', '--val', 0.3)
    parts = read_splits(tmp_path / 'out')
    assert sorted(parts.values()) == ['train', 'train', 'val']
    images = target_images(TargetSettings(str(tmp_path / 'out')))
    drives = {path.relative_to(tmp_path / 'out').parts[0] for path in images}
    assert drives == {drive for drive, part in parts.items() if part == 'train'}
    with pytest.raises(ValueError, match='no drive below'):
        target_images(TargetSettings(str(tmp_path / 'out'), split='test'))


@pytest.mark.parametrize('first', [['a'], ['a', 'b']])
def test_a_recording_keeps_its_name_whatever_stands_beside_it(camera_bag, tmp_path, capsys, first):
    bags = {place: camera_bag(f'{place}/monday', count=2) for place in 'ab'}
    extract(*(bags[place] for place in first), '-o', tmp_path / 'out')
    before = set(frames(tmp_path / 'out'))
    others = ['a', 'b'] if first == ['a'] else ['a']
    capsys.readouterr()
    assert extract(*(bags[place] for place in others), '-o', tmp_path / 'out') == 0
    assert '2 extracted before' in capsys.readouterr().out
    expected = {'monday', 'b_monday'} if first == ['a'] else {'a_monday', 'b_monday'}
    assert {name.split('/')[0] for name in frames(tmp_path / 'out')} == expected
    assert before <= set(frames(tmp_path / 'out'))


def test_too_few_drives_for_the_parts_are_told(camera_bag, tmp_path, capsys):
    assert extract(camera_bag(count=1), '-o', tmp_path / 'out', '--val', 0.3) == 0
    told = capsys.readouterr().out
    assert 'no drive is left for --val: there is 1 drive, it takes 2; add recordings' in told


def test_a_part_that_is_asked_for_when_all_drives_have_one_is_named(season, tmp_path, capsys):
    extract(season, '-o', tmp_path / 'out', '--val', 0.3)
    assert 'no drive is left' not in capsys.readouterr().out
    assert extract(season, '-o', tmp_path / 'out', '--val', 0.3, '--test', 0.3) == 0
    assert 'no drive is left for --test: the 3 in splits.json' in capsys.readouterr().out


def test_a_damaged_file_of_parts_is_named_before_the_work(camera_bag, tmp_path, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'splits.json').write_text('{"drives": {"a": "trian"}}')
    assert extract(camera_bag(count=1), '-o', out) == 1
    assert 'splits.json is damaged' in capsys.readouterr().err
    (out / 'splits.json').unlink()
    (out / 'splits.json').mkdir()
    assert extract(tmp_path / 'drive', '-o', out) == 1
    assert 'splits.json is damaged' in capsys.readouterr().err
    assert not tree(out)


def test_the_summary_stands_alone(season, tmp_path):
    extract(season, '-o', tmp_path / 'out', '--every', '0.2s')
    page = (tmp_path / 'out' / 'summary.html').read_text()
    assert '<td>a /camera/image_raw/compressed</td><td>train</td><td>6</td><td>3</td>' in page
    assert page.count('data:image/jpeg;base64,') == 10
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert (tmp_path / 'out' / 'contact_sheet.jpg').read_bytes()[:2] == b'\xff\xd8'
