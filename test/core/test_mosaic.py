"""Maps that are enlarged row by row equal those enlarged at once."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.heads import resize
from hrda_core.mosaic import Mosaic, resize_rows
from hrda_core.windows import Box

SIDES = st.integers(1, 40)


@settings(max_examples=150, deadline=None)
@given(inner=st.tuples(SIDES, SIDES), outer=st.tuples(SIDES, SIDES), data=st.data())
def test_some_rows_of_a_resize(inner, outer, data):
    start = data.draw(st.integers(0, outer[0] - 1))
    stop = data.draw(st.integers(start + 1, outer[0]))
    maps = torch.randn(1, 2, *inner, generator=torch.Generator().manual_seed(0))
    part = resize_rows(maps, outer, start, stop)
    torch.testing.assert_close(part, resize(maps, outer)[..., start:stop, :], atol=1e-4, rtol=0)


def two_crops() -> tuple[Mosaic, torch.Tensor]:
    """Overlapping crops of a 32x40 image, and their mean made at once."""
    mosaic, total, count = Mosaic(32, 40), torch.zeros(1, 3, 32, 40), torch.zeros(32, 40)
    for seed, box in enumerate((Box(0, 32, 0, 24), Box(0, 32, 16, 40), Box(8, 32, 8, 32))):
        size = (1, 3, box.height // 4, box.width // 4)
        maps = torch.randn(size, generator=torch.Generator().manual_seed(seed))
        mosaic.add(maps, box)
        total[..., box.y1 : box.y2, box.x1 : box.x2] += resize(maps, (box.height, box.width))
        count[box.y1 : box.y2, box.x1 : box.x2] += 1
    return mosaic, total / count


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40))
def test_strips_are_the_mean_of_the_crops(rows):
    mosaic, mean = two_crops()
    strips = list(mosaic.strips((32, 40), (32, 40), rows))
    assert max(strip.shape[2] for strip in strips) <= rows
    torch.testing.assert_close(torch.cat(strips, dim=2), mean, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 50), size=st.tuples(SIDES, SIDES))
def test_strips_without_padding_at_another_size(rows, size):
    mosaic, mean = two_crops()
    strips = torch.cat(list(mosaic.strips((29, 37), size, rows)), dim=2)
    expected = resize(mean[..., :29, :37], size)
    torch.testing.assert_close(strips, expected, atol=1e-4, rtol=0)
