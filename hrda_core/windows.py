"""Window plans as plain numbers: where an image is looked at, and how often (no torch here)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from typing import NamedTuple

from hrda_core.architecture import SMALLEST_SEEN, Architecture

ALIGNMENT = 8
"""Context crops cover whole cells of their own stride-4 features at half resolution [px]."""
SMALLEST = 64
"""Images are padded to at least this side: below it a deep encoder level is empty [px]."""


class Box(NamedTuple):
    """A half-open rectangle of pixels."""

    y1: int
    y2: int
    x1: int
    x2: int

    @property
    def height(self) -> int:
        """Rows of the box [px]."""
        return self.y2 - self.y1

    @property
    def width(self) -> int:
        """Columns of the box [px]."""
        return self.x2 - self.x1

    def inside(self, outer: Box) -> Box:
        """The same rectangle in the coordinates of an outer box."""
        return Box(self.y1 - outer.y1, self.y2 - outer.y1, self.x1 - outer.x1, self.x2 - outer.x1)

    def divided(self, divisor: float) -> Box:
        """The box on a grid `divisor` times coarser, truncated."""
        return Box(*(int(value / divisor) for value in self))


@dataclass(frozen=True)
class WindowPlan:
    """Which context crops and detail windows make up one image.

    Attributes:
        height: rows of the (scaled and padded) image [px].
        width: its columns [px].
        contexts: context crops, row by row; all of one size.
        windows: distinct detail windows in image coordinates; all of one size.
        members: for each context, the positions in `windows` of the windows that cover it.
    """

    height: int
    width: int
    contexts: tuple[Box, ...]
    windows: tuple[Box, ...]
    members: tuple[tuple[int, ...], ...]

    @cached_property
    def planned(self) -> int:
        """Detail windows of the published plan, where overlapping contexts repeat them."""
        return sum(len(member) for member in self.members)


def sliding_starts(size: int, window: int, stride: int) -> list[int]:
    """Starts of windows that cover `size` pixels, the last one snapped to the border.

    A window that is larger than the image starts at 0 (spec section 2.3).
    """
    count = max(size - window + stride - 1, 0) // stride + 1
    return [max(min(i * stride, size - window), 0) for i in range(count)]


def sliding_boxes(height: int, width: int, window: int, stride: int) -> tuple[Box, ...]:
    """Windows that cover an image, row by row, cut to the image where it is smaller."""
    window_height, window_width = min(window, height), min(window, width)
    return tuple(
        Box(y, y + window_height, x, x + window_width)
        for y in sliding_starts(height, window, stride)
        for x in sliding_starts(width, window, stride)
    )


@lru_cache(maxsize=32)
def plan_windows(height: int, width: int, architecture: Architecture) -> WindowPlan:
    """Plan one image as the published method does (spec sections 2.3 and 2.4).

    Context crops slide by half their size (mode `slide`) or the whole image is one context
    (mode `whole`); detail windows slide by half their size inside every context. Windows
    that several contexts share are listed once.

    Args:
        height: rows of the padded image, see `padded_size` [px].
        width: its columns [px].
        architecture: sizes and mode.
    """
    whole = Box(0, height, 0, width)
    size = architecture.context_size
    contexts = (
        (whole,) if architecture.mode == 'whole' else sliding_boxes(height, width, size, size // 2)
    )
    if not architecture.multi_resolution:
        return WindowPlan(height, width, contexts, (), ((),) * len(contexts))
    windows: dict[Box, int] = {}
    members = []
    for context in contexts:
        inner = detail_boxes(context.height, context.width, architecture)
        shifted = [
            Box(b.y1 + context.y1, b.y2 + context.y1, b.x1 + context.x1, b.x2 + context.x1)
            for b in inner
        ]
        members.append(tuple(windows.setdefault(box, len(windows)) for box in shifted))
    return WindowPlan(height, width, contexts, tuple(windows), tuple(members))


def detail_boxes(height: int, width: int, architecture: Architecture) -> tuple[Box, ...]:
    """Detail windows of one context crop, half-overlapping or side by side (spec 2.3)."""
    size = architecture.detail_size
    return sliding_boxes(height, width, size, size // 2 if architecture.detail_overlap else size)


def scaled_size(height: int, width: int, architecture: Architecture) -> tuple[int, int]:
    """Rows and columns of a camera image at the scale of a network [px]."""
    scale = architecture.image_scale
    return max(round(height * scale), 1), max(round(width * scale), 1)


def padded_size(height: int, width: int, architecture: Architecture) -> tuple[int, int]:
    """Size that an image is padded to before it is planned: (height, width) [px].

    Sides of at least a context crop stay; shorter ones (and all of mode `whole`) grow to the
    next multiple of 8, since a context crop's two resolutions must share one grid, and far
    enough that the context is no smaller than an encoder can see.
    """
    seen = architecture.context_scale if architecture.multi_resolution else 1.0
    smallest = max(SMALLEST, ceil(SMALLEST_SEEN / seen))

    def pad(size: int) -> int:
        if architecture.mode == 'slide' and size >= architecture.context_size:
            return size
        return -(-max(size, smallest) // ALIGNMENT) * ALIGNMENT

    return pad(height), pad(width)


def detail_offsets(size: int, detail: int, multiple: int = ALIGNMENT) -> range:
    """Where a training detail box may start along one side (spec section 2.1).

    Multiples of `multiple`; the last possible start is never drawn (trap 10), as published:
    0, 8, ..., 504 for a 512 box in a 1024 crop. A box as large as the crop starts at 0.

    Raises:
        ValueError: the box is larger than the crop.
    """
    if detail > size:
        raise ValueError(f'a detail box of {detail} px does not fit a crop of {size} px')
    return range(0, max((size - detail + 1) // multiple, 1) * multiple, multiple)
