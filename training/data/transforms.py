"""What happens to one frame before it is batched: resize, crop, flip, pad, colour distortion."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from hrda_core.classes import IGNORE
from hrda_core.windows import Box

Uint8Array = npt.NDArray[np.uint8]
CROP_REDRAWS = 10
"""How often a crop that does not please is drawn again (HRDA spec 3.7 and 4)."""


def fit_size(width: int, height: int, size: tuple[int, int]) -> tuple[int, int]:
    """Size of an image that is resized to fit into `size`, aspect kept (HRDA spec 4).

    Long side meets long side and short side meets short side, whichever is tighter.

    Args:
        width: of the image [px].
        height: of the image [px].
        size: two sides to fit into [px]; which of them is the width does not matter.

    Returns:
        (width, height) [px], rounded half up.
    """
    factor = min(max(size) / max(width, height), min(size) / min(width, height))
    return int(width * factor + 0.5), int(height * factor + 0.5)


def resize_image(image: Uint8Array, size: tuple[int, int] | None) -> Uint8Array:
    """Resize bilinearly to fit into (width, height); None = as it is.

    Shape:
        image: uint8 (H, W, 3), as the result.
    """
    return _resized(image, size, cv2.INTER_LINEAR)


def resize_label(label: Uint8Array, size: tuple[int, int] | None) -> Uint8Array:
    """Resize by nearest neighbour to fit into (width, height); None = as it is.

    Shape:
        label: uint8 (H, W), as the result.
    """
    return _resized(label, size, cv2.INTER_NEAREST)


def _resized(array: Uint8Array, size: tuple[int, int] | None, method: int) -> Uint8Array:
    height, width = array.shape[:2]
    if size is None or (fitted := fit_size(width, height, size)) == (width, height):
        return array
    return np.asarray(cv2.resize(array, fitted, interpolation=method), np.uint8)


def random_crop(height: int, width: int, crop: int, generator: np.random.Generator) -> Box:
    """A square crop anywhere inside, cut where the image is smaller than it."""
    y = int(generator.integers(max(height - crop, 0) + 1))
    x = int(generator.integers(max(width - crop, 0) + 1))
    return Box(y, min(y + crop, height), x, min(x + crop, width))


def balanced_crop(
    label: Uint8Array, crop: int, max_share: float, generator: np.random.Generator
) -> Box:
    """A random crop in which no class covers `max_share` of the labelled pixels (spec 4).

    Drawn again up to 10 times, also while fewer than two classes are in it; then the last one
    is taken as it is. A share of 1.0 or more takes the first.

    Shape:
        label: uint8 (H, W) train ids.
    """
    box = random_crop(label.shape[0], label.shape[1], crop, generator)
    if max_share >= 1:
        return box
    for _ in range(CROP_REDRAWS):
        counts = count_labels(label[box.y1 : box.y2, box.x1 : box.x2])[:IGNORE]
        if np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < max_share:
            break
        box = random_crop(label.shape[0], label.shape[1], crop, generator)
    return box


def count_labels(label: Uint8Array) -> npt.NDArray[np.int64]:
    """Pixels of each id of a uint8 label image, (256,)."""
    # calcHist is several times faster than bincount, and exact up to 2^24 pixels a row block.
    counts = np.zeros(256, np.int64)
    rows = max((1 << 23) // max(label.shape[1], 1), 1)
    for start in range(0, label.shape[0], rows):
        block = np.ascontiguousarray(label[start : start + rows])
        histogram = cv2.calcHist([block], [0], None, [256], [0, 256])
        counts += histogram.reshape(256).astype(np.int64)
    return counts


def pad(array: Uint8Array, size: int, value: int | tuple[int, int, int]) -> Uint8Array:
    """Fill up to a square at the bottom and the right; larger sides stay.

    Shape:
        array: uint8 (H, W) or (H, W, 3); value: one number or a colour.
    """
    height, width = array.shape[:2]
    if height >= size and width >= size:
        return array
    padded = np.empty((max(height, size), max(width, size), *array.shape[2:]), np.uint8)
    padded[:] = value
    padded[:height, :width] = array
    return padded


def photometric_distortion(image: Uint8Array, generator: np.random.Generator) -> Uint8Array:
    """Random brightness, contrast, saturation and hue, each with probability 0.5 (spec 4).

    Brightness ±32, contrast and saturation times 0.5..1.5, hue ±18 of 180; contrast comes
    before or after the colours, with equal probability.

    Shape:
        image: uint8 (H, W, 3) RGB, as the result.
    """
    brightness, contrast_first, contrast, saturation, hue = generator.random(5) < 0.5
    shift, hue_shift = generator.uniform(-32, 32), generator.uniform(-18, 18)
    contrast_factor, saturation_factor = generator.uniform(0.5, 1.5, 2)
    if brightness:
        image = _linear(image, 1, shift)
    if contrast and contrast_first:
        image = _linear(image, contrast_factor, 0)
    if saturation or hue:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        if saturation:
            hsv[..., 1] = _linear(hsv[..., 1], saturation_factor, 0)
        if hue:
            hsv[..., 0] = np.mod(hsv[..., 0].astype(np.int16) + round(hue_shift), 180)
        image = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
    if contrast and not contrast_first:
        image = _linear(image, contrast_factor, 0)
    return image


def _linear(values: Uint8Array, factor: float, offset: float) -> Uint8Array:
    table = np.clip(np.arange(256) * factor + offset, 0, 255).round().astype(np.uint8)
    return np.asarray(table[values])
