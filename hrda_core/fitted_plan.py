"""Window plans that are fitted to an image, for mode `anytime` (plain numbers, no torch here).

The published plan slides context crops of one size by half their size, so an image of 1080 rows
takes twice the work of one with 1024. Here sides give way instead: one context over the whole
image, or the fewest of about the trained size, and equal windows that just cover it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import NamedTuple

from hrda_core.architecture import SMALLEST_SEEN, Architecture
from hrda_core.windows import SMALLEST, Box, scaled_size

SIDE_MULTIPLE = 16
"""Sides of fitted windows [px]: the grid of the third encoder level."""
CONTEXT_OVERLAP = 8
"""Neighbouring contexts overlap by this part of their size, to hide the seam."""


class Division(NamedTuple):
    """One side of an image, covered by equal pieces.

    Attributes:
        starts: where the pieces start [px].
        side: length of each [px].
    """

    starts: tuple[int, ...]
    side: int

    def tapers(self, cell: Fraction) -> list[list[float]]:
        """Weight of each piece per cell, rising from its end to that of its neighbour.

        Where two pieces overlap, their weights add up to 1.

        Args:
            cell: pixels per cell.
        """
        tapers = []
        for start in self.starts:
            weights = [1.0] * int(self.side / cell)
            for other in self.starts:
                shared = int((self.side - abs(start - other)) / cell) if start != other else 0
                for k in range(shared):
                    weights[k if other < start else -1 - k] = (k + 0.5) / shared
            tapers.append(weights)
        return tapers


class Grid(NamedTuple):
    """Equal boxes in rows and columns that cover an image."""

    rows: Division
    columns: Division

    def boxes(self) -> tuple[Box, ...]:
        """The boxes, row by row."""
        (tops, height), (lefts, width) = self
        return tuple(Box(y, y + height, x, x + width) for y in tops for x in lefts)


@dataclass(frozen=True)
class FittedPlan:
    """Contexts and detail windows that just cover an image.

    Attributes:
        height: rows of the padded image [px].
        width: its columns [px].
        context_grid: where the contexts are.
        window_grid: where the detail windows are.
        cell: image pixels per cell of the context's logits.
    """

    height: int
    width: int
    context_grid: Grid
    window_grid: Grid
    cell: Fraction

    @cached_property
    def contexts(self) -> tuple[Box, ...]:
        """Context crops, row by row; all of one size."""
        return self.context_grid.boxes()

    @cached_property
    def windows(self) -> tuple[Box, ...]:
        """Detail windows, row by row; all of one size."""
        return self.window_grid.boxes()


def shrunk_size(
    height: int, width: int, architecture: Architecture, most: float
) -> tuple[int, int]:
    """Rows and columns of a camera image at the scale of a network, fitted to its contexts [px].

    Where contexts slide, a scaled image whose shorter side is a little longer than one is shrunk
    to it, such as 1080 rows to 1024: the published plan would double for them, and a network is
    not at its best on contexts larger than those it knows.

    Args:
        height: rows of the image [px].
        width: its columns [px].
        architecture: the trained sizes.
        most: share of its sides that it may lose, 0..1; others stay as they are.
    """
    height, width = scaled_size(height, width, architecture)
    scale = architecture.context_size / min(height, width)
    if architecture.mode == 'whole' or not 1 - most <= scale < 1:
        return height, width
    return round(height * scale), round(width * scale)


@lru_cache(maxsize=32)
def fit_plan(
    height: int,
    width: int,
    architecture: Architecture,
    stride: int,
    *,
    contexts: str = 'whole',
    window_size: int = 0,
    overlap: int = 0,
) -> FittedPlan:
    """Fit a plan to an image; the image is padded up to `plan.height` x `plan.width`.

    Args:
        height: rows of the scaled image [px].
        width: its columns [px].
        architecture: the trained sizes; with a detail branch.
        stride: input pixels per logit of the heads.
        contexts: `whole` (one context) or `fewest` of about the trained size.
        window_size: about the side of a detail window [px]; 0 for the trained size.
        overlap: least overlap of neighbouring windows [px].

    Raises:
        ValueError: windows would overlap by more than half their size.
    """
    size = window_size or architecture.detail_size
    if 2 * overlap > size:
        raise ValueError(
            f'window_overlap {overlap} is more than half the side of a detail window, {size} px'
        )
    grid = context_alignment(architecture, stride)
    smallest = max(SMALLEST, math.ceil(SMALLEST_SEEN / architecture.context_scale))
    height, width = (_up(max(side, smallest), math.lcm(grid, 8)) for side in (height, width))
    crops = Grid(Division((0,), height), Division((0,), width))
    if contexts == 'fewest':
        context = architecture.context_size
        shared = context // CONTEXT_OVERLAP
        crops = Grid(divide(height, context, shared, grid), divide(width, context, shared, grid))
    windows = Grid(divide(height, size, overlap, stride), divide(width, size, overlap, stride))
    return FittedPlan(height, width, crops, windows, stride / _scale(architecture))


def divide(length: int, wanted: int, overlap: int, step: int) -> Division:
    """Cover a length with the number of equal pieces whose side comes closest to what is wanted.

    Args:
        length: what is to be covered, a multiple of `step` [px].
        wanted: side of a piece [px].
        overlap: least overlap of neighbours, less than `wanted` [px].
        step: pieces start at multiples of it [px].
    """
    exact = max((length - overlap) / (wanted - overlap), 1.0)
    counts = {math.floor(exact), math.ceil(exact)}
    count = min(counts, key=lambda n: abs(math.log(_side(length, n, overlap) / wanted)))
    if count == 1:
        return Division((0,), length)
    multiple = math.lcm(step, SIDE_MULTIPLE)
    side = min(_up(math.ceil(_side(length, count, overlap)), multiple), length)
    last = length - side
    starts = tuple(i * last // (count - 1) // step * step for i in range(count))
    return Division(starts, side)


def context_alignment(architecture: Architecture, stride: int) -> int:
    """Multiples of it are whole cells of both resolutions [px]."""
    return stride * _scale(architecture).denominator


def _scale(architecture: Architecture) -> Fraction:
    return Fraction(architecture.context_scale).limit_denominator(64)


def _side(length: int, count: int, overlap: int) -> float:
    return (length + (count - 1) * overlap) / count


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
