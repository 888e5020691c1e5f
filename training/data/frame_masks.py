"""The mask beside the frames of an extraction: where nothing is to be learnt from the camera."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from training.extraction.manifest import SETTINGS_FILE
from training.image_files import EXTRACTED, Uint8Array, read_image

MASK_FILE = EXTRACTED[SETTINGS_FILE]


def frame_mask(image: Path, size: tuple[int, int]) -> Uint8Array | None:
    """The mask of an extracted frame.

    Args:
        image: the frame's file.
        size: (width, height) that the mask is wanted in [px].

    Returns:
        uint8 (H, W), 0 where nothing is to be learnt, else 1; None where there is no mask.

    Raises:
        ValueError: the mask cannot be read.
    """
    return _read(image.parent / MASK_FILE, size)


@lru_cache(maxsize=32)
def _read(path: Path, size: tuple[int, int]) -> Uint8Array | None:
    if not path.is_file():
        return None
    mask = (read_image(path)[..., 0] > 127).astype(np.uint8)
    mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    mask.setflags(write=False)
    return mask
