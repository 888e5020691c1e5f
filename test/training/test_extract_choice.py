"""Which frames an extraction keeps, why not the others, and that resuming changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from extracting import scene
from hypothesis import given, settings
from hypothesis import strategies as st

from training.bags.writing import ImageBagWriter
from training.cli import main
from training.extraction.choice import FrameChooser, Overview
from training.extraction.figures import half_grey, measure_grey
from training.extraction.settings import ChoiceSettings

SECOND_NS = 1_000_000_000
FOLDER = 'drive/cam'


def write(path, pictures, rate_hz=10, compressed=True):
    with ImageBagWriter(path) as bag:
        for number, picture in enumerate(pictures):
            stamp_ns = SECOND_NS + round(number * SECOND_NS / rate_hz)
            if compressed:
                data = cv2.imencode('.jpg', picture[..., ::-1])[1].tobytes()
                bag.write_compressed('/cam', stamp_ns, data)
            else:
                bag.write_rgb('/cam', stamp_ns, picture)
    return path


def extract(*arguments):
    return main(['extract', *map(str, arguments)])


def reasons(root, folder=FOLDER):
    lines = (Path(root) / folder / 'manifest.jsonl').read_text().splitlines()
    return [json.loads(line)['reason'] or 'kept' for line in lines]


def test_every_frame_has_a_line(tmp_path):
    bag = write(tmp_path / 'drive', [scene(n) for n in range(6)])
    assert extract(bag, '-o', tmp_path / 'out', '--every', '0.3s') == 0
    assert reasons(tmp_path / 'out') == ['kept', 'every', 'every', 'kept', 'every', 'every']


@pytest.mark.parametrize('compressed', [True, False])
def test_a_car_that_stands_gives_one_frame(tmp_path, compressed):
    pictures = [scene(0), scene(0), scene(0), scene(1), scene(1)]
    bag = write(tmp_path / 'drive', pictures, compressed=compressed)
    assert extract(bag, '-o', tmp_path / 'out', '--min-motion', 3) == 0
    still = 'no motion'
    assert reasons(tmp_path / 'out') == ['kept', still, still, 'kept', still]


def test_near_duplicates_are_compared_with_the_last_kept(tmp_path):
    pictures = [scene(0), np.roll(scene(0), 1, 1), scene(1)]
    bag = write(tmp_path / 'drive', pictures)
    assert extract(bag, '-o', tmp_path / 'out', '--min-change', 40) == 0
    assert reasons(tmp_path / 'out') == ['kept', 'near-duplicate', 'kept']


def test_dark_white_and_blurred_frames_are_told_from_the_drive_itself(tmp_path):
    pictures = [scene(n) for n in range(9)]
    pictures[2] = pictures[2] // 8
    pictures[4] = np.full_like(pictures[4], 255)
    pictures[6] = cv2.GaussianBlur(pictures[6], (0, 0), 4)
    bag = write(tmp_path / 'drive', pictures)
    assert extract(bag, '-o', tmp_path / 'out', '--clean', '--min-change', 0) == 0
    found = reasons(tmp_path / 'out')
    assert (found[2], found[4], found[6]) == ('dark', 'over-exposed', 'blurred')
    assert found.count('kept') == 6


def test_the_manifest_has_the_figures_that_were_asked_for(tmp_path):
    bag = write(tmp_path / 'drive', [scene(0), scene(1)])
    extract(bag, '-o', tmp_path / 'out', '--clean')
    lines = (tmp_path / 'out' / FOLDER / 'manifest.jsonl').read_text().splitlines()
    first, second = map(json.loads, lines)
    assert {'brightness', 'white', 'sharpness'} < set(first)
    assert 'motion' not in first and second['motion'] > 1 and second['change'] > 12


@settings(max_examples=50, deadline=None)
@given(times=st.lists(st.integers(0, 10**6), min_size=1, max_size=60), most=st.integers(1, 12))
def test_max_frames_is_kept_and_spread(times, most):
    times.sort()
    chooser = FrameChooser(ChoiceSettings(max_frames=most), Overview(times[0], times[-1]))
    taken = []
    for time_ns in times:
        if not (chooser.refuse_by_time(time_ns) or chooser.refuse_by_spread(time_ns)):
            chooser.keep(time_ns, None)
            taken.append(time_ns)
    assert len(taken) <= most
    if times[0] == times[-1]:
        assert len(taken) == min(most, len(times))
        return
    span = times[-1] - times[0] + 1
    parts = {(time_ns - times[0]) * most // span for time_ns in times}
    assert len(taken) == len(parts)


def test_max_frames_takes_the_first_good_one_of_each_part(tmp_path):
    pictures = [scene(n) for n in range(8)]
    pictures[0] = pictures[0] // 8
    bag = write(tmp_path / 'drive', pictures)
    extract(bag, '-o', tmp_path / 'out', '--max-frames', 2, '--min-brightness', 0.5)
    assert reasons(tmp_path / 'out') == ['dark', 'kept', *['max-frames'] * 2, 'kept',
                                         *['max-frames'] * 3]  # fmt: skip


@pytest.mark.parametrize('wrong', [7, 3600 * SECOND_NS])
def test_a_wrong_stamp_does_not_keep_max_frames_from_their_number(tmp_path, jpeg, wrong):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(40):
            record_ns = SECOND_NS + number * SECOND_NS // 10
            message = {
                'header': bag.header(wrong if number == 5 else record_ns),
                'format': 'jpeg',
                'data': np.frombuffer(jpeg(number), np.uint8),
            }
            bag.write('/cam', 'sensor_msgs/msg/CompressedImage', record_ns, **message)
    extract(tmp_path / 'drive', '-o', tmp_path / 'out', '--max-frames', 8)
    assert reasons(tmp_path / 'out').count('kept') == 8


OPTIONS = [
    ['--every', '0.1s', '--min-motion', '3', '--clean', '--max-frames', '12'],
    ['--min-brightness', '0.5', '--max-frames', '20'],
]


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('share', [0.0, 0.2, 0.5, 0.9])
def test_resuming_chooses_the_same_frames(tmp_path, share, options):
    pictures = [scene(number // 3) for number in range(40)]
    bag = write(tmp_path / 'drive', pictures, 30)
    extract(bag, '-o', tmp_path / 'whole', *options)
    extract(bag, '-o', tmp_path / 'cut', *options)
    file = tmp_path / 'cut' / FOLDER / 'manifest.jsonl'
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    assert extract(bag, '-o', tmp_path / 'cut', *options) == 0
    assert file.read_bytes() == (tmp_path / 'whole' / FOLDER / 'manifest.jsonl').read_bytes()
    names = [sorted(p.name for p in (tmp_path / d / FOLDER).iterdir()) for d in ('cut', 'whole')]
    assert names[0] == names[1]


def test_other_settings_in_the_same_folder_are_refused(tmp_path, capsys):
    bag = write(tmp_path / 'drive', [scene(0)])
    extract(bag, '-o', tmp_path / 'out')
    assert extract(bag, '-o', tmp_path / 'out', '--every', '1s') == 1
    assert 'other settings (no --every, now --every 1s)' in capsys.readouterr().err


def test_a_dry_run_tells_and_writes_nothing(tmp_path, capsys):
    bag = write(tmp_path / 'drive', [scene(0)] * 4)
    assert extract(bag, '-o', tmp_path / 'out', '--min-motion', 3, '--dry-run') == 0
    assert '1 kept, 3 no motion' in capsys.readouterr().out
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--max-frames', '-1'], '--max-frames'),
        (['--min-brightness', '1.5'], 'from 0 to 1'),
        (['--min-change', '300'], 'from 0 to 256'),
        (['--processes', '0'], 'at least 1'),
        (['--val', '1'], 'below 1'),
        (['--crop', '1,2,3'], '4 whole numbers'),
        (['--resize', '0x5'], 'leaves nothing'),
        (['--mask', 'nowhere.png'], 'nowhere.png'),
    ],
)
def test_impossible_settings_are_refused(tmp_path, capsys, options, words):
    bag = write(tmp_path / 'drive', [scene(0)])
    assert extract(bag, '-o', tmp_path / 'out', *options) == 1
    assert words in capsys.readouterr().err


def test_figures_follow_light_blur_and_movement():
    rgb = scene(3, 240, 320)
    usual = measure_grey(half_grey(rgb))
    brighter = measure_grey(half_grey(rgb + np.uint8(20)))
    blurred = measure_grey(half_grey(cv2.GaussianBlur(rgb, (0, 0), 3)))
    moved = measure_grey(half_grey(np.roll(rgb, 10, 1)))
    assert brighter.brightness == pytest.approx(usual.brightness + 20, abs=1)
    assert blurred.sharpness < 0.4 * usual.sharpness
    assert usual.change_from(brighter).motion < 1 < 3 * usual.change_from(moved).motion
