"""Maps of overlapping crops, enlarged and averaged only where and when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hrda_core.heads import resize
from hrda_core.windows import Box


class Mosaic:
    """Crops of an image, each at the stride of the network, and their mean at full size.

    Crops are enlarged before they are averaged, as published (trap 14); rows are made on demand,
    so that maps of many classes never exist at full size.

    Args:
        height: rows of the image [px].
        width: its columns [px].
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._crops: list[tuple[Tensor, Box]] = []

    def add(self, maps: Tensor, box: Box) -> None:
        """Take the maps (B, C, h, w) of a box; together the boxes must cover the image."""
        self._crops.append((maps, box))

    @property
    def channels(self) -> int:
        """Channels of the maps."""
        return self._crops[0][0].shape[1]

    @property
    def device(self) -> torch.device:
        """Where the maps are."""
        return self._crops[0][0].device

    def rows(self, start: int, stop: int) -> Tensor:
        """The mean of some rows: float32 (B, C, stop - start, width)."""
        if len(self._crops) == 1:
            maps, _ = self._crops[0]
            return resize_rows(maps.float(), (self.height, self.width), start, stop)
        first = self._crops[0][0]
        total = torch.zeros(
            *first.shape[:2], stop - start, self.width, device=first.device, dtype=torch.float32
        )
        count = total.new_zeros(1, 1, stop - start, self.width)
        for maps, box in self._crops:
            above, below = max(start, box.y1), min(stop, box.y2)
            if above < below:
                where = (..., slice(above - start, below - start), slice(box.x1, box.x2))
                size = (box.height, box.width)
                total[where] += resize_rows(maps.float(), size, above - box.y1, below - box.y1)
                count[where] += 1
        return total.div_(count)

    def strips(self, inner: tuple[int, int], size: tuple[int, int], rows: int) -> Iterator[Tensor]:
        """The mean without padding, resized to an image, in strips from top to bottom.

        Args:
            inner: rows and columns that are not padding [px].
            size: (H, W) of the image.
            rows: height of a strip [px].

        Yields:
            float32 (B, C, at most `rows`, W).
        """
        height, width = inner
        for start in range(0, size[0], rows):
            stop = min(start + rows, size[0])
            if inner == size:
                yield self.rows(start, stop)[..., :width]
                continue
            low, high = _needed(height, size[0], start, stop)
            strip = self.rows(low, high)[..., :width]
            yield _resize_part(strip, low, inner, size, start, stop)


def resize_rows(maps: Tensor, size: tuple[int, int], start: int, stop: int) -> Tensor:
    """Some rows of `resize(maps, size)`, without making the others.

    Shape:
        (B, C, h, w) to (B, C, stop - start, size[1]).
    """
    low, high = _needed(maps.shape[-2], size[0], start, stop)
    inner = (maps.shape[-2], maps.shape[-1])
    return _resize_part(maps[..., low:high, :], low, inner, size, start, stop)


def _needed(inner: int, outer: int, start: int, stop: int) -> tuple[int, int]:
    """The rows of the smaller map that the rows start..stop of the larger one come from."""
    scale = inner / outer
    low = int(max((start + 0.5) * scale - 0.5, 0))
    high = int(max((stop - 0.5) * scale - 0.5, 0)) + 2
    return min(low, inner - 1), min(high, inner)


def _resize_part(
    part: Tensor, low: int, inner: tuple[int, int], size: tuple[int, int], start: int, stop: int
) -> Tensor:
    """Rows start..stop of the resize of maps, of which `part` holds the rows from `low` on."""
    if inner[0] == size[0]:
        tall = part[..., start - low : stop - low, :]
    else:
        scale = inner[0] / size[0]
        places = torch.arange(start, stop, device=part.device, dtype=torch.float64)
        places = ((places + 0.5) * scale - 0.5).clamp_(min=0)
        above = places.long()
        weight = (places - above).to(part.dtype)[:, None]
        upper = part.index_select(-2, above - low)
        lower = part.index_select(-2, (above + 1).clamp_(max=inner[0] - 1) - low)
        tall = upper.lerp_(lower, weight)
    return resize(tall, (stop - start, size[1]))
