"""A short code of a picture that stays nearly the same when the picture does."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

HASH_SIDE = 16
"""A difference hash compares so many pixels of so many rows with their right neighbours."""


def hash_grey(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """256 bits that stay nearly the same when an image is resized, re-encoded or a bit brighter.

    Shape:
        grey: uint8 (H, W); result: uint8 (32,).
    """
    small = cv2.resize(grey, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1])
