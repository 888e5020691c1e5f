"""Image files that are whole, and such that are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.datasets import TargetDataset
from training.data.settings import TargetSettings
from training.image_files import check_images, image_size, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


def _encode(image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, image_format, **options)
    return file.getvalue()


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize('image_format', ['jpeg', 'png'])
def test_whole_images_have_a_size(tmp_path: Path, image_format: str) -> None:
    path = _write(tmp_path / f'a.{image_format}', _encode(image_format))
    assert image_size(path) == (120, 90)
    assert read_image(path).shape == (90, 120, 3)


@pytest.mark.parametrize('image_format', ['jpeg', 'png'])
@pytest.mark.parametrize('left', [0.1, 0.5, 0.9, 0.9999])
def test_cut_off_images_are_found_without_decoding(
    tmp_path: Path, image_format: str, left: float
) -> None:
    data = _encode(image_format)
    path = _write(tmp_path / f'cut.{image_format}', data[: int(len(data) * left)])
    for read in (image_size, read_image):
        with pytest.raises(ValueError, match=rf'cut\.{image_format} cannot be read'):
            read(path)


def test_a_cut_off_target_is_found_before_training(tmp_path: Path) -> None:
    _write(tmp_path / 'a.jpg', _encode('jpeg'))
    _write(tmp_path / 'b.jpg', _encode('jpeg')[:-3])
    with pytest.raises(ValueError, match=r'b\.jpg cannot be read.*cut off'):
        TargetDataset(TargetSettings(str(tmp_path)), crop_size=8, seed=0)


@pytest.mark.parametrize('image_format', ['jpeg', 'png'])
def test_bytes_behind_the_end_are_no_damage(tmp_path: Path, image_format: str) -> None:
    path = _write(tmp_path / f'a.{image_format}', _encode(image_format) + bytes(5000))
    assert image_size(path) == (120, 90)
    assert read_image(path).shape == (90, 120, 3)


def test_a_cut_off_image_is_found_behind_a_whole_preview(tmp_path: Path) -> None:
    preview = io.BytesIO()
    Image.fromarray(NOISE[:16, :16]).save(preview, 'jpeg')
    data = _encode('jpeg', comment=preview.getvalue())
    start = data.index(preview.getvalue()) + len(preview.getvalue())
    path = _write(tmp_path / 'a.jpg', data[: start + 1500])
    with pytest.raises(ValueError, match=r'a\.jpg cannot be read'):
        image_size(path)


def test_the_first_of_many_bad_images_is_named(tmp_path: Path) -> None:
    good = _write(tmp_path / 'a.png', _encode('png'))
    paths = [good, tmp_path / 'missing.png', _write(tmp_path / 'no.png', b'text')]
    with pytest.raises(ValueError, match=r'missing\.png cannot be read'):
        check_images(paths)
