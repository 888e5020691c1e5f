"""Colours drawn by OpenCV are those of the core, for arrays of any layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrda_core.classes import CITYSCAPES
from hrda_core.overlay import blend
from hrda_ros.drawing import draw_colors, draw_overlay


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_overlays_are_those_of_the_core(seed: int, alpha: float, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    labels = generator.choice(np.array([0, 5, 18, 200, 255], np.uint8), (height, width))
    before = image.copy()
    drawn = draw_overlay(image, labels, CITYSCAPES.palette, alpha)
    np.testing.assert_array_equal(drawn, blend(image, labels, CITYSCAPES.palette, alpha))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(
        draw_colors(labels, CITYSCAPES.palette), CITYSCAPES.colorize(labels)
    )


@pytest.mark.parametrize('step', [1, -1, 2])
def test_read_only_and_strided_images_are_taken(step: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)[:, ::step]
    image.flags.writeable = False
    labels = np.full(image.shape[:2], 255, np.uint8)
    labels[0] = 1
    labels.flags.writeable = False
    np.testing.assert_array_equal(
        draw_overlay(image, labels, CITYSCAPES.palette, 0.5),
        blend(image, labels, CITYSCAPES.palette, 0.5),
    )
