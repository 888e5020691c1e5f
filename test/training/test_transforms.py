"""Per-frame transforms: sizes, crops, padding, colours."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.hrda import HRDA
from training.data.transforms import (
    balanced_crop,
    count_labels,
    fit_size,
    pad,
    photometric_distortion,
    random_crop,
    resize_image,
    resize_label,
)


def test_sizes_equal_published(figures: dict[str, Any]) -> None:
    for rule, expected in figures['rescale_size_w_h'].items():
        width, height, *size = map(int, re.findall(r'\d+', rule))
        assert fit_size(width, height, tuple(size)) == tuple(expected)


def test_image_resize_equals_published(ops: dict[str, np.ndarray]) -> None:
    resized = resize_image(ops['rs_in_bgr'], (128, 72))
    assert np.array_equal(resized, ops['rs_out_128x72'])


def test_label_resize_equals_published(ops: dict[str, np.ndarray]) -> None:
    resized = resize_label(ops['rs_lab_in'], (128, 72))
    assert np.array_equal(resized, ops['rs_lab_128x72'])


def test_no_size_keeps_the_frame() -> None:
    image = np.zeros((5, 7, 3), np.uint8)
    assert resize_image(image, None) is image


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.integers(0, 99))
def test_crops_lie_inside(height: int, width: int, crop: int, seed: int) -> None:
    box = random_crop(height, width, crop, np.random.default_rng(seed))
    assert 0 <= box.y1 < box.y2 <= height and 0 <= box.x1 < box.x2 <= width
    assert (box.height, box.width) == (min(crop, height), min(crop, width))


def test_every_position_can_be_drawn() -> None:
    generator = np.random.default_rng(0)
    starts = {random_crop(8, 6, 6, generator).y1 for _ in range(100)}
    assert starts == {0, 1, 2}


def test_balanced_crop_avoids_one_class() -> None:
    label = np.zeros((32, 512), np.uint8)
    label[:16, :256] = 1
    boxes = [balanced_crop(label, 32, 0.75, np.random.default_rng(i)) for i in range(50)]
    shares = [np.mean(label[b.y1 : b.y2, b.x1 : b.x2] == 0) for b in boxes]
    assert max(shares) < 0.75


def test_balanced_crop_takes_the_last_when_nothing_pleases() -> None:
    label = np.full((64, 64), 255, np.uint8)
    assert balanced_crop(label, 32, 0.75, np.random.default_rng(0)).height == 32


def test_share_of_one_takes_the_first_crop() -> None:
    label = np.zeros((64, 64), np.uint8)
    first = random_crop(64, 64, 16, np.random.default_rng(3))
    assert balanced_crop(label, 16, 1.0, np.random.default_rng(3)) == first


def test_counts_equal_bincount() -> None:
    label = np.random.default_rng(0).integers(0, 256, (33, 47)).astype(np.uint8)[:, ::2]
    assert np.array_equal(count_labels(label), np.bincount(label.ravel(), minlength=256))


def test_padding_fills_below_and_right() -> None:
    padded = pad(np.ones((2, 3, 3), np.uint8), 4, (7, 8, 9))
    assert padded.shape == (4, 4, 3)
    assert (padded[:2, :3] == 1).all()
    assert (padded[3, 3] == (7, 8, 9)).all()


def test_normalised_images_equal_published(ops: dict[str, np.ndarray], tiny_model: HRDA) -> None:
    rgb = torch.from_numpy(np.ascontiguousarray(ops['rs_in_bgr'][..., ::-1]))
    found = tiny_model.normalise(rgb.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(found[::4, ::4], ops['rs_norm'], atol=1e-6)


def test_photometric_distortion_changes_colours_reproducibly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    results = [photometric_distortion(image, np.random.default_rng(i)) for i in range(20)]
    again = photometric_distortion(image, np.random.default_rng(4))
    assert np.array_equal(results[4], again)
    assert sum(not np.array_equal(result, image) for result in results) > 10
    assert all(result.dtype == np.uint8 and result.shape == image.shape for result in results)
