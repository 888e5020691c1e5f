"""Images that are measured as a whole: spread over folders, and checked before the work."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run

from training.cli import main
from training.deployment.chosen_images import choose_images
from training.image_files import image_size, spread


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tiny_run.write_frames(tmp_path / 'data', 5, 0)
    tiny_run.write_checkpoint(tmp_path / 'm.safetensors')
    return tmp_path


def test_spread_takes_evenly() -> None:
    assert spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert spread(range(3), 5) == [0, 1, 2]


@pytest.mark.parametrize(('frames', 'names'), [(0, '01234'), (2, '02'), (9, '01234')])
def test_images_are_spread_over_all(place: Path, frames: int, names: str) -> None:
    chosen = choose_images([str(place / 'data/images')], frames)
    assert [path.name for path in chosen] == [f'0{name}.png' for name in names]


def test_videos_alone_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'a.mp4').touch()
    with pytest.raises(ValueError, match=r'a.mp4 is a video; name images'):
        choose_images([str(tmp_path / 'a.mp4')], 0)


DATA = '--images {0}/data/images --labels {0}/data/labels'
MEASURING = [
    'tune-windows {0}/m.safetensors {0}/data/images',
    'domain-shift {0}/m.safetensors {0}/data/images --store',
    f'eval {{0}}/m.safetensors {DATA}',
    f'calibrate {{0}}/m.safetensors {DATA}',
    f'bench anytime {{0}}/m.safetensors {DATA} -o {{0}}/bench',
]


@pytest.mark.parametrize('command', MEASURING)
def test_a_damaged_image_is_named_before_the_work(
    place: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    image = place / 'data/images/03.png'
    image.write_bytes(image.read_bytes()[:-40])
    before = (place / 'm.safetensors').read_bytes()
    assert main(command.format(place).split()) == 1
    error = capsys.readouterr().err
    assert '03.png cannot be read' in error and error.count('\n') == 1, error
    assert (place / 'm.safetensors').read_bytes() == before


@pytest.mark.parametrize('command', MEASURING[:4])
def test_an_image_too_small_to_be_segmented_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    for name in ('images', 'labels'):
        cv2.imwrite(str(place / 'data' / name / '03.png'), np.zeros((8, 8), np.uint8))
    assert main([*command.format(place).split()]) == 1
    assert '03.png: an image of 8x8 is outside 16..8192' in capsys.readouterr().err


@pytest.mark.parametrize(
    'command',
    [
        'tune-windows {0}/m.safetensors {0}/data/images --sizes=64,256',
        f'eval {{0}}/m.safetensors {DATA} --mode=anytime --window_size=256',
        f'bench anytime {{0}}/m.safetensors {DATA} -o {{0}}/bench --sizes 64 256',
    ],
)
def test_windows_larger_than_the_images_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main(command.format(place).split()) == 1
    error = capsys.readouterr().err
    assert 'windows of 256 px are larger than an image of 96x80 px' in error, error


def test_an_empty_image_and_one_of_text_are_told_apart(tmp_path: Path) -> None:
    for text, reason in (('', 'it is empty'), ('text', 'it is no picture')):
        (tmp_path / 'a.png').write_text(text)
        with pytest.raises(ValueError, match=f'a.png .* remove it or copy it again: {reason}$'):
            image_size(tmp_path / 'a.png')
