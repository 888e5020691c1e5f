"""From class scores at the stride of the network to labels and confidence at full size.

In strips of rows: at full size, the scores of all classes would take 160 MB for 2048x1024 px.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hrda_core.classes import Uint8Array
from hrda_core.mosaic import Mosaic

STRIP_BYTES = {'cpu': 2 * 2**20, 'cuda': 128 * 2**20}
"""Class scores that exist at full size at any time; on a CPU they fit into its cache."""


def full_size_strips(
    mosaic: Mosaic, scaled: tuple[int, int], size: tuple[int, int]
) -> Iterator[tuple[int, Tensor]]:
    """The maps at the size of the image: first row and (C, rows, W) of each strip.

    Args:
        mosaic: maps that are complete.
        scaled: rows and columns of the image at the scale of the network.
        size: rows and columns of the image.
    """
    limit = STRIP_BYTES.get(mosaic.device.type, STRIP_BYTES['cpu'])
    rows = max(limit // (4 * mosaic.channels * max(size[1], mosaic.width)), 1)
    for number, strip in enumerate(mosaic.strips(scaled, size, rows)):
        yield number * rows, strip[0]


def decide(
    mosaic: Mosaic, scaled: tuple[int, int], size: tuple[int, int], temperature: float
) -> tuple[Uint8Array, Uint8Array]:
    """Label and confidence of every pixel, uint8 (H, W) each.

    Args:
        mosaic: class scores that are complete.
        scaled: rows and columns of the image at the scale of the network.
        size: rows and columns of the image.
        temperature: what the scores are divided by for the confidence.
    """
    decided = torch.empty((2, *size), dtype=torch.uint8, device=mosaic.device)
    for start, strip in full_size_strips(mosaic, scaled, size):
        rows = slice(start, start + strip.shape[1])
        highest, label = strip.max(dim=0)
        decided[0, rows] = label
        strip.sub_(highest)
        if temperature != 1:
            strip.mul_(1 / temperature)
        decided[1, rows] = to_bytes(1 / strip.exp_().sum(dim=0))
    labels, confidence = decided.cpu().numpy()
    return labels, confidence


def to_bytes(values: Tensor) -> Tensor:
    """Values of 0..1 as uint8 0..255, rounded."""
    return values.mul(255).round_().clamp_(0, 255).to(torch.uint8)
