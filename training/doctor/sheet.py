"""The contact sheet: what the sets look like, with labels, and what the network will see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from hrda_core.classes import ClassSet
from hrda_core.overlay import blend
from training.doctor.frame_sets import FrameSet
from training.image_files import read_image

COLUMNS = 6
TILE = 248
"""Width of a picture [px]."""
GAP = 10
MARGIN = 28
WIDTH = 2 * MARGIN + COLUMNS * TILE + (COLUMNS - 1) * GAP
ALPHA = 0.5
"""Weight of the class colours over the picture."""
INK, FAINT, PAPER = (28, 30, 34), (120, 124, 130), (250, 250, 248)
ALARM = (196, 40, 40)

Uint8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A picture and what stands below it.

    Attributes:
        picture: uint8 (H, W, 3) RGB; None where it cannot be read.
        captions: lines of text.
    """

    picture: Uint8Array | None
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """Pictures of one kind, with a heading and an explanation."""

    heading: str
    explanation: str
    tiles: tuple[Tile, ...]


def set_row(frames: FrameSet, explanation: str) -> Row:
    """Frames of a set, evenly spread, with their labels over them where there are any."""
    count = min(COLUMNS, len(frames))
    indices = [i * len(frames) // count for i in range(count)]
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
    result = image.copy()
    result[hidden] = (image[hidden] * 0.35 + np.array(ALARM) * 0.45).astype(np.uint8)
    return result


def contact_sheet(title: str, rows: Sequence[Row], classes: ClassSet) -> Uint8Array:
    """All rows below each other, and the class colours at the end.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    parts = [_title(title), *(_draw_row(row) for row in rows), _legend(classes)]
    sheet = Image.new('RGB', (WIDTH, sum(p.height for p in parts) + MARGIN), PAPER)
    y = 0
    for part in parts:
        sheet.paste(part, (0, y))
        y += part.height
    return np.asarray(sheet, np.uint8)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _title(text: str) -> Image.Image:
    part = Image.new('RGB', (WIDTH, 70), PAPER)
    ImageDraw.Draw(part).text((MARGIN, 26), text, INK, _font(26))
    return part


def _draw_row(row: Row) -> Image.Image:
    pictures = [_fitted(tile.picture) for tile in row.tiles]
    known = [picture.height for picture in pictures if picture is not None]
    height = max(known, default=TILE * 9 // 16)
    lines = max((len(tile.captions) for tile in row.tiles), default=0)
    part = Image.new('RGB', (WIDTH, 46 + height + 16 * lines + 14), PAPER)
    draw = ImageDraw.Draw(part)
    draw.text((MARGIN, 12), row.heading, INK, _font(19))
    after = MARGIN + draw.textlength(row.heading, _font(19)) + 14
    draw.text((after, 17), row.explanation, FAINT, _font(14))
    for number, (tile, picture) in enumerate(zip(row.tiles, pictures, strict=True)):
        x, y = MARGIN + number * (TILE + GAP), 42
        if picture is None:
            _cross(draw, x, y, height)
        else:
            part.paste(picture, (x, y))
        for line, text in enumerate(tile.captions):
            colour = ALARM if picture is None else FAINT if line else INK
            draw.text((x, y + height + 3 + 16 * line), _shortened(draw, text), colour, _font(12))
    return part


def _fitted(picture: Uint8Array | None) -> Image.Image | None:
    if picture is None:
        return None
    height = max(round(picture.shape[0] * TILE / picture.shape[1]), 1)
    return Image.fromarray(picture).resize((TILE, height), Image.Resampling.BILINEAR)


def _cross(draw: ImageDraw.ImageDraw, x: int, y: int, height: int) -> None:
    draw.rectangle((x, y, x + TILE, y + height), outline=ALARM, width=2)
    draw.line((x, y, x + TILE, y + height), ALARM, 2)
    draw.line((x, y + height, x + TILE, y), ALARM, 2)


def _shortened(draw: ImageDraw.ImageDraw, text: str) -> str:
    """The end of a text that fits below a picture; ends of paths tell more than beginnings."""
    shown = text
    while draw.textlength(shown, _font(12)) > TILE and len(shown) > 2:
        shown = f'…{shown[2:]}'
    return shown


def _legend(classes: ClassSet) -> Image.Image:
    cell = (WIDTH - 2 * MARGIN) // 8
    lines = -(-len(classes) // 8)
    part = Image.new('RGB', (WIDTH, 44 + 26 * lines), PAPER)
    draw = ImageDraw.Draw(part)
    draw.text((MARGIN, 12), 'classes', INK, _font(19))
    draw.text((MARGIN + 84, 17), 'ignored pixels show the picture', FAINT, _font(14))
    for number, (name, colour) in enumerate(zip(classes.names, classes.colors, strict=True)):
        x, y = MARGIN + number % 8 * cell, 44 + number // 8 * 26
        draw.rounded_rectangle((x, y, x + 22, y + 16), 3, fill=colour)
        draw.text((x + 29, y), name, INK, _font(13))
    return part
