"""Overlays: class colours blended over the image they label."""

from __future__ import annotations

import numpy as np

from hrda_core.classes import IGNORE, Uint8Array


def blend_tables(palette: Uint8Array, alpha: float) -> tuple[Uint8Array, Uint8Array]:
    """What a blended pixel is the sum of: by the level of the image, and by the label.

    Shape:
        palette: uint8 (256, 3); results: uint8 (256) and uint8 (256, 3).

    Args:
        palette: colour of every id.
        alpha: weight of the colours, 0 (image alone) to 1 (colours alone).

    Raises:
        ValueError: alpha is outside 0..1.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f'alpha {alpha} is outside 0..1')
    levels = np.arange(256)
    colors = np.round(palette * alpha).astype(np.uint8)
    return (levels - np.round(levels * alpha)).astype(np.uint8), colors


def blend(image: Uint8Array, labels: Uint8Array, palette: Uint8Array, alpha: float) -> Uint8Array:
    """Blend class colours over an image; unlabelled (255) pixels keep the image.

    Shape:
        image: uint8 (H, W, 3); labels: uint8 (H, W); palette: uint8 (256, 3).
        Result: uint8 (H, W, 3), in the channel order of image and palette.

    Args:
        image: the picture.
        labels: train ids at the same size.
        palette: colour of every id.
        alpha: weight of the colours, 0 (image alone) to 1 (colours alone).

    Raises:
        ValueError: sizes differ or alpha is outside 0..1.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f'image {image.shape[:2]} and labels {labels.shape} differ in size')
    # Two table look-ups and one addition: an order faster than blending in floating point.
    dimmed, colors = blend_tables(palette, alpha)
    result = np.take(dimmed, image)
    result += np.take(colors, labels, axis=0)
    unlabelled = labels == IGNORE
    if unlabelled.any():
        np.copyto(result, image, where=unlabelled[..., None])
    return result
