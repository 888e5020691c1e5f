"""What the pixels of a frame say about it, in about a millisecond: light, sharpness, change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from training.extraction.image_hash import hash_grey

Uint8Array = npt.NDArray[np.uint8]
THUMBNAIL_WIDTH = 160
WHITE = 250
"""Grey level from which a pixel counts as white."""


class Change(NamedTuple):
    """How far a frame is from an earlier one.

    Attributes:
        motion: mean difference of small grey pictures of equal mean [grey levels].
        bits: of their difference hashes that differ, 0..256.
    """

    motion: float
    bits: int


@dataclass(frozen=True)
class FrameFigures:
    """Figures of one frame.

    Attributes:
        brightness: mean grey level, 0..255.
        white: share of the pixels that are white, 0..1.
        sharpness: variance of the Laplacian at half size; smaller is more blurred. It depends on
            the scene and the camera, so that only frames of one drive can be compared.
        thumbnail: float32 (h, 160), grey levels minus their mean.
        dhash: difference hash, uint8 (32,).
    """

    brightness: float
    white: float
    sharpness: float
    thumbnail: npt.NDArray[np.float32] = field(repr=False)
    dhash: Uint8Array = field(repr=False)

    def change_from(self, other: FrameFigures) -> Change | None:
        """What differs from another frame; None if its shape is another one."""
        if self.thumbnail.shape != other.thumbnail.shape:
            return None
        motion = float(np.abs(self.thumbnail - other.thumbnail).mean())
        return Change(motion, int(np.unpackbits(self.dhash ^ other.dhash).sum()))


def measure_grey(grey: Uint8Array) -> FrameFigures:
    """Measure a frame.

    Args:
        grey: uint8 (H, W), at half the size of the frame.
    """
    height, width = grey.shape
    small_height = max(1, round(height * THUMBNAIL_WIDTH / width))
    small = cv2.resize(grey, (THUMBNAIL_WIDTH, small_height), interpolation=cv2.INTER_AREA)
    brightness = float(small.mean())
    # In 16 bits: the values of a Laplacian of bytes fit, and no float picture is made.
    laplacian = cv2.Laplacian(grey, cv2.CV_16S)
    _, deviation = cv2.meanStdDev(laplacian)
    return FrameFigures(
        brightness=brightness,
        white=float((small >= WHITE).mean()),
        sharpness=float(deviation[0, 0]) ** 2,
        thumbnail=small.astype(np.float32) - np.float32(brightness),
        dhash=hash_grey(small),
    )


def half_grey(rgb: Uint8Array) -> Uint8Array:
    """Grey at half size, uint8 (H/2, W/2), of uint8 (H, W, 3) RGB."""
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    half = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
    return np.asarray(cv2.resize(grey, half, interpolation=cv2.INTER_AREA), np.uint8)
