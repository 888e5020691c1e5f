"""Fitted plans cover an image with equal pieces and little double work."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.architecture import Architecture
from hrda_core.fitted_plan import divide, fit_plan, shrunk_size

PUBLISHED = Architecture('mit_b5')
SIDES = st.integers(16, 2400)


@pytest.mark.parametrize(
    ('size', 'windows', 'side'),
    [
        ((1024, 2048), 8, (512, 512)),
        ((1080, 1920), 8, (544, 480)),
        ((720, 1280), 3, (720, 432)),
        ((480, 640), 1, (480, 640)),
    ],
)
def test_windows_fit_the_image(size, windows, side):
    plan = fit_plan(*size, PUBLISHED, 4)
    assert len(plan.windows) == windows
    assert (plan.windows[0].height, plan.windows[0].width) == side
    assert len(plan.contexts) == 1


@pytest.mark.parametrize(
    ('size', 'shrunk'),
    [
        ((1080, 1920), (1024, 1820)),
        ((1920, 1080), (1820, 1024)),
        ((1024, 2048), (1024, 2048)),
        ((1200, 1920), (1200, 1920)),
        ((720, 1280), (720, 1280)),
    ],
)
def test_an_image_little_larger_than_a_context_is_shrunk_to_it(size, shrunk):
    assert shrunk_size(*size, PUBLISHED, 0.0625) == shrunk


def test_no_image_is_shrunk_where_nothing_may_be_lost():
    assert shrunk_size(1080, 1920, PUBLISHED, 0.0) == (1080, 1920)


@settings(max_examples=200, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    window=st.sampled_from([0, 64, 128, 256]),
    overlap=st.sampled_from([0, 8, 32]),
    contexts=st.sampled_from(['whole', 'fewest']),
    scale=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
)
def test_every_pixel_is_covered_on_the_grid(height, width, window, overlap, contexts, scale):
    architecture = replace(PUBLISHED, context_scale=scale)
    plan = fit_plan(
        height, width, architecture, 4, contexts=contexts, window_size=window, overlap=overlap
    )
    assert plan.height >= height and plan.width >= width
    for boxes, cell in ((plan.windows, Fraction(4)), (plan.contexts, plan.cell)):
        covered = np.zeros((int(plan.height / cell), int(plan.width / cell)), bool)
        for box in boxes:
            assert (box.height, box.width) == (boxes[0].height, boxes[0].width)
            assert all((value / cell).denominator == 1 for value in box)
            y1, y2, x1, x2 = (int(value / cell) for value in box)
            covered[y1:y2, x1:x2] = True
        assert covered.all()


@settings(max_examples=200, deadline=None)
@given(height=st.integers(256, 2400), width=st.integers(256, 2400))
def test_no_size_doubles_the_work(height, width):
    plan = fit_plan(height, width, PUBLISHED, 4, window_size=256)
    computed = sum(box.height * box.width for box in plan.windows)
    assert computed <= 1.25 * height * width


@settings(max_examples=100, deadline=None)
@given(length=st.integers(16, 300), wanted=st.integers(4, 40), overlap=st.integers(0, 8))
def test_tapers_of_a_side_add_up_to_one(length, wanted, overlap):
    length, wanted, overlap = length * 8, wanted * 16, min(overlap * 8, wanted * 8)
    division = divide(length, wanted, overlap, 4)
    total = np.zeros(length // 4)
    for start, taper in zip(division.starts, division.tapers(Fraction(4)), strict=True):
        total[start // 4 : start // 4 + len(taper)] += taper
    overlaps = [a + division.side - b for a, b in pairwise(division.starts)]
    if all(2 * shared <= division.side for shared in overlaps):
        np.testing.assert_allclose(total, 1)


def test_too_much_overlap_is_refused():
    with pytest.raises(ValueError, match='more than half the side'):
        fit_plan(480, 640, PUBLISHED, 4, overlap=264)
