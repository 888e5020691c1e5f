"""Reading label files as numbers: one id per pixel, RGB colours, or ids in the red channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from hrda_core.image_headers import inspect_image
from training.data.kinds import Pixels

Color = tuple[int, int, int]
IntArray = npt.NDArray[np.integer[Any]]
ID_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
"""Pillow's names of pictures with one number per pixel; P has a palette over its numbers."""


def read_pixels(path: Path, pixels: Pixels) -> IntArray:
    """Read a label file as one number per pixel, (H, W).

    Args:
        path: the file.
        pixels: what its pixels are; colours become 0xRRGGBB, see `color_code`.

    Raises:
        ValueError: the file cannot be read, or is another kind of picture.
    """
    return {'id': read_ids, 'color': read_colors, 'red': read_red}[pixels](path)


def read_ids(path: Path) -> IntArray:
    """Read a label file's numbers, uint8 or uint16 (H, W); of a palette picture its indices.

    Raises:
        ValueError: the file cannot be read, or holds colours instead of one number per pixel.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ID_MODES:
                raise ValueError(
                    f'label {path} is a {image.mode} picture; expected one id per pixel '
                    '(8 or 16 bit grey, or palette); for colours set label_ids: color or a '
                    'label_map, for ids in the red channel a label_map with pixels: red'
                )
            ids = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ValueError(f'label {path} cannot be read: {error}') from error
    return ids.astype(np.uint8 if ids.dtype.itemsize == 1 else np.uint16)


def read_red(path: Path) -> IntArray:
    """Read the red channel of an RGB or RGBA picture of 8 or 16 bit, (H, W); grey as it is.

    Raises:
        ValueError: the file cannot be read, or is a palette picture.
    """
    image = _decode(path)
    if image.ndim == 2:
        return image
    if _mode(path) == 'P':
        raise ValueError(
            f'label {path} is a palette picture; expected RGB with the id in the red channel; '
            'set label_ids or a label_map with pixels: id or color'
        )
    # OpenCV's order is BGR, so this is what the authors of SYNTHIA's readers call the last one.
    return np.ascontiguousarray(image[..., 2])


def read_colors(path: Path) -> IntArray:
    """Read the colours of an RGB, RGBA or palette picture as uint32 (H, W) of 0xRRGGBB.

    Raises:
        ValueError: the file cannot be read, or is grey or of 16 bit.
    """
    image = _decode(path)
    if image.ndim == 2 or image.dtype != np.uint8:
        kind = 'grey' if image.ndim == 2 else '16 bit'
        raise ValueError(
            f'label {path} is a {kind} picture; expected RGB colours of 8 bit; '
            'set label_ids or a label_map with pixels: id or red'
        )
    blue, green, red = (image[..., channel].astype(np.uint32) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def color_code(color: Color) -> int:
    """A colour as one number: 0xRRGGBB."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def color_of(code: int) -> Color:
    """The colour of a `color_code`."""
    return code >> 16, code >> 8 & 255, code & 255


def _decode(path: Path) -> npt.NDArray[Any]:
    try:
        data = path.read_bytes()
        inspect_image(data)  # OpenCV decodes cut off files without a word
    except (OSError, ValueError) as error:
        raise ValueError(f'label {path} cannot be read: {error}') from error
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f'label {path} cannot be read; copy it again')
    return np.asarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)


def _mode(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.mode)
