"""The contact sheet: what the sets look like, with labels, and what the network will see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from hrda_core.classes import ClassSet
from hrda_core.overlay import blend
from training.contact_sheet import (
    ALARM,
    COLUMNS,
    FAINT,
    INK,
    MARGIN,
    PAPER,
    WIDTH,
    Row,
    Tile,
    draw_sheet,
    font,
)
from training.doctor.frame_sets import FrameSet
from training.image_files import read_image, spread

ALPHA = 0.5
"""Weight of the class colours over the picture."""
Uint8Array = npt.NDArray[np.uint8]


def set_row(frames: FrameSet, explanation: str) -> Row:
    """Frames of a set, evenly spread, with their labels over them where there are any."""
    indices = spread(range(len(frames)), COLUMNS)
    tiles = tuple(_frame_tile(frames, index) for index in indices)
    return Row(frames.role, explanation, tiles)


def _frame_tile(frames: FrameSet, index: int) -> Tile:
    name = frames.name(index)
    try:
        if frames.labelled is None:
            image = read_image(frames.images[index])
        else:
            image, label = frames.labelled.read(index)
            image = blend(image, label, frames.labelled.classes.palette, ALPHA)
    except ValueError:
        return Tile(None, (name, 'cannot be used'))
    return Tile(image, (name, f'{image.shape[1]} x {image.shape[0]} px'))


def crop_row(role: str, crops: Sequence[dict[str, Any]], classes: ClassSet) -> Row:
    """Training crops: with labels, or dimmed where nothing is learnt from them.

    Args:
        role: 'source' or 'target'.
        crops: samples of the data sets, as tensors.
        classes: colours of the labels.
    """
    tiles = tuple(_crop_tile(crop, classes) for crop in crops)
    what = 'labels over the picture' if role == 'source' else 'red: margins and padding'
    side = crops[0]['image'].shape[-1]
    return Row(
        f'{role} crops',
        f'as the first steps of the run will see them, {side} x {side} px; {what}',
        tiles,
    )


def _crop_tile(crop: dict[str, Any], classes: ClassSet) -> Tile:
    image = np.ascontiguousarray(crop['image'].permute(1, 2, 0).numpy())
    if 'label' in crop:
        image = blend(image, crop['label'].numpy(), classes.palette, ALPHA)
    else:
        image = _dimmed(image, crop['valid'].numpy() == 0)
    return Tile(image, (str(crop['file']),))


def _dimmed(image: Uint8Array, hidden: npt.NDArray[np.bool_]) -> Uint8Array:
    result: Uint8Array = image.copy()
    result[hidden] = (image[hidden] * 0.35 + np.array(ALARM) * 0.45).astype(np.uint8)
    return result


def contact_sheet(title: str, rows: Sequence[Row], classes: ClassSet) -> Uint8Array:
    """All rows below each other, and the class colours at the end.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    return draw_sheet(title, rows, _legend(classes))


def _legend(classes: ClassSet) -> Image.Image:
    cell = (WIDTH - 2 * MARGIN) // 8
    lines = -(-len(classes) // 8)
    part = Image.new('RGB', (WIDTH, 44 + 26 * lines), PAPER)
    draw = ImageDraw.Draw(part)
    draw.text((MARGIN, 12), 'classes', INK, font(19))
    draw.text((MARGIN + 84, 17), 'ignored pixels show the picture', FAINT, font(14))
    for number, (name, colour) in enumerate(zip(classes.names, classes.colors, strict=True)):
        x, y = MARGIN + number % 8 * cell, 44 + number // 8 * 26
        draw.rounded_rectangle((x, y, x + 22, y + 16), 3, fill=colour)
        draw.text((x + 29, y), name, INK, font(13))
    return part
