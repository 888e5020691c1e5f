"""How far confidence can be trusted: expected calibration error, from counts alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hrda_core.classes import IGNORE

BINS = 15
"""As usual since Guo et al., 'On Calibration of Modern Neural Networks', ICML 2017."""

Uint8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CalibrationBin:
    """Pixels of similar confidence.

    Attributes:
        pixels: how many labelled pixels there are [px].
        confidence: their mean confidence, 0..1; nan without pixels.
        accuracy: the share of them that is right, 0..1; nan without pixels.
    """

    pixels: int
    confidence: float
    accuracy: float


class Calibration:
    """Right and wrong pixels by confidence, over any number of images in little memory.

    Confidence arrives as the byte that is published, so that bins are exact up to 1/255.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((2, 256), np.int64)
        """Pixels that are wrong (row 0) and right (row 1) by confidence byte."""

    def add(self, confidence: Uint8Array, predicted: Uint8Array, labels: Uint8Array) -> None:
        """Count one image; pixels labelled 255 are left out.

        Shape:
            confidence: uint8 (H, W), 0..255; predicted, labels: uint8 (H, W) train ids.
        """
        valid = labels != IGNORE
        right = (predicted == labels)[valid]
        for row, chosen in enumerate((~right, right)):
            self.counts[row] += np.bincount(confidence[valid][chosen], minlength=256)

    def bins(self) -> tuple[CalibrationBin, ...]:
        """Bins of equal width over 0..1, the least confident first."""
        values = np.arange(256) / 255
        members = np.minimum((values * BINS).astype(int), BINS - 1)
        return tuple(self._bin(members == number, values) for number in range(BINS))

    def _bin(self, chosen: npt.NDArray[np.bool_], values: npt.NDArray[Any]) -> CalibrationBin:
        pixels = self.counts[:, chosen].sum(0)
        total = int(pixels.sum())
        if not total:
            return CalibrationBin(0, math.nan, math.nan)
        confidence = float(pixels @ values[chosen]) / total
        return CalibrationBin(total, confidence, int(self.counts[1, chosen].sum()) / total)

    def error(self) -> float:
        """Expected calibration error, 0..1: mean gap of confidence and accuracy over pixels.

        nan without any labelled pixel.
        """
        filled = [b for b in self.bins() if b.pixels]
        total = sum(b.pixels for b in filled)
        gaps = sum(b.pixels * abs(b.confidence - b.accuracy) for b in filled)
        return gaps / total if total else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; empty bins have None."""
        rows = [
            {
                'pixels': b.pixels,
                'confidence': b.confidence if b.pixels else None,
                'accuracy': b.accuracy if b.pixels else None,
            }
            for b in self.bins()
        ]
        error = self.error()
        return {'error': None if math.isnan(error) else error, 'bins': rows}
