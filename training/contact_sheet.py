"""Contact sheets: rows of small pictures with captions, on one large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6
TILE = 248
"""Width of a picture [px]."""
GAP = 10
MARGIN = 28
WIDTH = 2 * MARGIN + COLUMNS * TILE + (COLUMNS - 1) * GAP
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


def draw_sheet(title: str, rows: Sequence[Row], *below: Image.Image) -> Uint8Array:
    """All rows below each other.

    Args:
        title: above all.
        rows: of at most `COLUMNS` pictures.
        below: pictures `WIDTH` pixels wide that end the sheet.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    parts = [_title(title), *(_draw_row(row) for row in rows), *below]
    sheet = Image.new('RGB', (WIDTH, sum(p.height for p in parts) + MARGIN), PAPER)
    y = 0
    for part in parts:
        sheet.paste(part, (0, y))
        y += part.height
    return np.asarray(sheet, np.uint8)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one font, of a height in pixels."""
    return ImageFont.load_default(size)


def _title(text: str) -> Image.Image:
    part = Image.new('RGB', (WIDTH, 70), PAPER)
    ImageDraw.Draw(part).text((MARGIN, 26), _on_one_line(text), INK, font(26))
    return part


def _draw_row(row: Row) -> Image.Image:
    pictures = [_fitted(tile.picture) for tile in row.tiles]
    known = [picture.height for picture in pictures if picture is not None]
    height = max(known, default=TILE * 9 // 16)
    lines = max((len(tile.captions) for tile in row.tiles), default=0)
    part = Image.new('RGB', (WIDTH, 46 + height + 16 * lines + 14), PAPER)
    draw = ImageDraw.Draw(part)
    heading = _on_one_line(row.heading)
    draw.text((MARGIN, 12), heading, INK, font(19))
    after = MARGIN + draw.textlength(heading, font(19)) + 14
    draw.text((after, 17), row.explanation, FAINT, font(14))
    for number, (tile, picture) in enumerate(zip(row.tiles, pictures, strict=True)):
        x, y = MARGIN + number * (TILE + GAP), 42
        if picture is None:
            _cross(draw, x, y, height)
        else:
            part.paste(picture, (x, y))
        for line, text in enumerate(tile.captions):
            colour = ALARM if picture is None else FAINT if line else INK
            draw.text((x, y + height + 3 + 16 * line), _shortened(draw, text), colour, font(12))
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


def _on_one_line(text: str) -> str:
    """A text without line breaks, which names of recordings may hold."""
    return ' '.join(text.split())


def _shortened(draw: ImageDraw.ImageDraw, text: str) -> str:
    """The end of a text that fits below a picture; ends of paths tell more than beginnings."""
    shown = text = _on_one_line(text)
    while draw.textlength(shown, font(12)) > TILE and len(shown) > 2:
        shown = f'…{shown[2:]}'
    return shown
