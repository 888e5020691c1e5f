"""Window plans: cover everything, share what contexts share, equal the published counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrda_core.architecture import Architecture
from hrda_core.windows import (
    Box,
    detail_offsets,
    padded_size,
    plan_windows,
    sliding_boxes,
    sliding_starts,
)

PUBLISHED = Architecture('mit_b5')
SMALL = Architecture('mit_b0', context_size=128, detail_size=64)
sides = st.integers(64, 700)


def covered(boxes, height, width):
    seen = [[False] * width for _ in range(height)]
    for box in boxes:
        for y in range(box.y1, box.y2):
            seen[y][box.x1 : box.x2] = [True] * box.width
    return all(all(row) for row in seen)


@pytest.mark.parametrize(
    ('height', 'width', 'contexts', 'distinct', 'planned'),
    [(1024, 2048, 3, 21, 27), (1080, 1920, 6, 48, 54), (1024, 1024, 1, 9, 9)],
)
def test_published_sizes(height, width, contexts, distinct, planned):
    plan = plan_windows(height, width, PUBLISHED)
    assert (len(plan.contexts), len(plan.windows), plan.planned) == (contexts, distinct, planned)


def test_last_context_snaps_to_the_border():
    architecture = Architecture('mit_b0', context_size=256, detail_size=128)
    plan = plan_windows(288, 448, architecture)
    assert plan.contexts[-1] == Box(32, 288, 192, 448)


@given(size=sides, window=st.integers(1, 800), stride=st.integers(1, 400))
def test_windows_stay_inside_and_leave_no_gap(size, window, stride):
    stride = min(stride, window)
    starts = sliding_starts(size, window, stride)
    assert starts[0] == 0 and starts[-1] == max(size - window, 0)
    assert all(0 < b - a <= stride for a, b in pairwise(starts))


@given(height=st.integers(64, 300), width=st.integers(64, 300))
def test_every_pixel_is_seen_by_a_context_and_a_window(height, width):
    padded = padded_size(height, width, SMALL)
    plan = plan_windows(*padded, SMALL)
    assert covered(plan.contexts, *padded) and covered(plan.windows, *padded)


@given(height=sides, width=sides)
def test_members_are_the_windows_of_their_context(height, width):
    plan = plan_windows(*padded_size(height, width, SMALL), SMALL)
    for context, members in zip(plan.contexts, plan.members, strict=True):
        inner = tuple(plan.windows[i].inside(context) for i in members)
        assert inner == sliding_boxes(context.height, context.width, 64, 32)
    assert len(set(plan.windows)) == len(plan.windows) <= plan.planned


@given(height=sides, width=sides)
def test_windows_lie_on_the_grid_of_the_logits(height, width):
    plan = plan_windows(*padded_size(height, width, SMALL), SMALL)
    for context, members in zip(plan.contexts, plan.members, strict=True):
        offsets = [plan.windows[i].inside(context) for i in members]
        assert all(box.y1 % 4 == 0 and box.x1 % 4 == 0 for box in offsets)


def test_whole_mode_has_one_context():
    whole = Architecture('mit_b0', context_size=128, detail_size=64, mode='whole')
    plan = plan_windows(128, 192, whole)
    assert plan.contexts == (Box(0, 128, 0, 192),) and len(plan.windows) == 15


def test_one_resolution_has_no_detail_windows():
    plan = plan_windows(256, 256, Architecture('mit_b0', attention='none', context_size=128))
    assert plan.windows == () and len(plan.contexts) == 9 and plan.planned == 0


def test_sides_of_a_context_or_more_are_not_padded():
    assert padded_size(1081, 1923, PUBLISHED) == (1081, 1923)
    assert padded_size(1081, 361, PUBLISHED) == (1081, 368)
    assert padded_size(20, 30, PUBLISHED) == (64, 64)


def test_small_images_leave_the_context_large_enough_for_the_encoder():
    quarter = replace(PUBLISHED, context_scale=0.25)
    assert padded_size(80, 300, quarter) == (128, 304)
    assert padded_size(20, 30, replace(quarter, attention='none')) == (64, 64)


def test_detail_offsets_are_the_published_ones():
    assert list(detail_offsets(1024, 512)) == list(range(0, 505, 8))


@given(size=st.integers(64, 1024), detail=st.integers(16, 1024))
def test_detail_boxes_fit_their_crop(size, detail):
    if detail > size:
        with pytest.raises(ValueError, match='does not fit'):
            detail_offsets(size, detail)
    else:
        assert all(0 <= offset <= size - detail for offset in detail_offsets(size, detail))
