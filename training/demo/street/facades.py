"""House fronts as textures: walls, windows, doors and shops."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.demo.street.looks import Color, Look
from training.demo.street.textures import Mipmap, cloud_noise

PX_PER_M = 28
FLOOR_M = 3.1


@dataclass(frozen=True)
class Facade:
    """A front and an end wall of the same house."""

    front: Mipmap
    end: Mipmap
    height_m: float
    wall: Color
    roof: Color


def make_facade(rng: np.random.Generator, look: Look) -> Facade:
    """Draw a house front of the look's styles, 11 m wide, with 'floors' of the look's mix."""
    palette, style = look.palette, str(rng.choice(look.surface.facades))
    wall = np.clip(
        np.array(palette.walls[rng.integers(len(palette.walls))]) * rng.uniform(0.9, 1.08, 3),
        0,
        250,
    )
    roof = np.array(palette.roofs[rng.integers(len(palette.roofs))]) * rng.uniform(0.9, 1.1)
    floors = int(rng.integers(look.mix.floors[0], look.mix.floors[1] + 1))
    height = floors * FLOOR_M + 0.7
    front = _wall(rng, style, wall, 11.0, height)
    end = _wall(rng, style, wall * 0.97, 9.0, height)
    _paint_windows(rng, front, look, style, floors, wall, shop=bool(rng.uniform() < 0.4))
    if rng.uniform() < 0.5:
        _paint_windows(rng, end, look, style, floors, wall, shop=False, gap_m=4.0)
    trim = tuple(float(c) for c in np.clip(wall * 0.78, 0, 255))
    for picture in (front, end):
        cv2.rectangle(picture, (0, 0), (picture.shape[1], PX_PER_M // 3), trim, -1)
    pictures = [Mipmap(np.clip(p, 0, 255).astype(np.uint8)) for p in (front, end)]
    return Facade(pictures[0], pictures[1], height, _color(wall), _color(roof))


def _color(values: NDArray[np.float64]) -> Color:
    return float(values[0]), float(values[1]), float(values[2])


def _wall(
    rng: np.random.Generator,
    style: str,
    wall: NDArray[np.float64],
    width_m: float,
    height_m: float,
) -> NDArray[np.float32]:
    """The bare wall, float32 (h, w, 3)."""
    h, w = int(height_m * PX_PER_M), int(width_m * PX_PER_M)
    tone = np.ones((h, w), np.float32)
    tile = cloud_noise(rng, 512, octaves=6, coarse=3)
    tile = np.tile(tile, (h // 512 + 1, w // 512 + 1))[:h, :w]
    if style == 'plaster':
        tone += 0.06 * tile
        tone *= np.linspace(1.05, 0.86, h, dtype=np.float32)[:, None] ** 0.8
    elif style == 'brick':
        rows = np.arange(h)[:, None] // 3
        columns = (np.arange(w)[None, :] + 4 * (rows % 2)) // 8
        shades = rng.normal(1, 0.11, (h // 3 + 2, w // 8 + 2)).astype(np.float32)
        tone = shades[rows, columns] + 0.05 * tile
        tone[::3] *= 1.12
    elif style == 'panel':
        tone[:: int(FLOOR_M * PX_PER_M)] *= 0.7
        tone[:, :: int(1.8 * PX_PER_M)] *= 0.86
    return tone[..., None] * wall.astype(np.float32)


def _paint_windows(
    rng: np.random.Generator,
    picture: NDArray[np.float32],
    look: Look,
    style: str,
    floors: int,
    wall: NDArray[np.float64],
    shop: bool,
    gap_m: float | None = None,
) -> None:
    """Rows of windows, one per floor; the lowest has a shop or a door."""
    h, w = picture.shape[:2]
    width = rng.uniform(1.0, 1.9 if style == 'panel' else 1.35)
    gap = gap_m or width + rng.uniform(0.8, 1.6)
    tall = rng.uniform(1.3, 1.8)
    frame = np.array([238, 236, 230]) if rng.uniform() < 0.6 else wall * 0.55
    count = max(1, int((w / PX_PER_M - 0.8) / gap))
    first = (w / PX_PER_M - count * gap) / 2 + (gap - width) / 2
    door = int(rng.integers(count))
    for floor in range(floors):
        sill = h - int((floor * FLOOR_M + 0.95) * PX_PER_M)
        if floor == 0 and shop:
            _paint_shop(rng, picture, look)
            continue
        for i in range(count):
            x = int((first + i * gap) * PX_PER_M)
            size = (int(width * PX_PER_M), int(tall * PX_PER_M))
            if floor == 0 and i == door and gap_m is None:
                _paint_door(rng, picture, x, size[0], wall)
            else:
                _paint_window(rng, picture, (x, sill - size[1]), size, look.palette.glass, frame)


def _paint_window(
    rng: np.random.Generator,
    picture: NDArray[np.float32],
    corner: tuple[int, int],
    size: tuple[int, int],
    glass: Color,
    frame: NDArray[np.float64],
) -> None:
    (x, y), (w, h) = corner, size
    cv2.rectangle(picture, (x - 3, y - 3), (x + w + 3, y + h + 3), frame.tolist(), -1)
    region = picture[y : y + h, x : x + w]
    if not region.size:
        return
    rows = np.linspace(1.25, 0.7, region.shape[0], dtype=np.float32)[:, None, None]
    region[:] = np.asarray(glass, np.float32) * rows * rng.uniform(0.75, 1.2)
    if rng.uniform() < 0.3:  # a curtain or blind
        region[: int(region.shape[0] * rng.uniform(0.25, 0.9))] = np.array(
            [206, 198, 182]
        ) * rng.uniform(0.75, 1.05)
    line = tuple(float(c) for c in frame)
    cv2.line(picture, (x + w // 2, y), (x + w // 2, y + h), line, 2)
    cv2.line(picture, (x, y + h // 3), (x + w, y + h // 3), line, 2)
    cv2.rectangle(picture, (x - 5, y + h + 3), (x + w + 5, y + h + 6), (frame * 0.8).tolist(), -1)


def _paint_door(
    rng: np.random.Generator,
    picture: NDArray[np.float32],
    x: int,
    width: int,
    wall: NDArray[np.float64],
) -> None:
    h = picture.shape[0]
    color = np.array([rng.uniform(50, 130), rng.uniform(50, 100), rng.uniform(40, 100)])
    top = h - int(2.3 * PX_PER_M)
    cv2.rectangle(picture, (x - 3, top - 4), (x + width + 3, h), (wall * 0.7).tolist(), -1)
    cv2.rectangle(picture, (x, top), (x + width, h), color.tolist(), -1)
    cv2.rectangle(picture, (x + 5, top + 5), (x + width - 5, top + 20), (150, 160, 168), -1)


def _paint_shop(rng: np.random.Generator, picture: NDArray[np.float32], look: Look) -> None:
    h, w = picture.shape[:2]
    top, glass = h - int(2.7 * PX_PER_M), np.asarray(look.palette.glass, np.float32)
    board = np.array(look.palette.coats[rng.integers(len(look.palette.coats))]) * 0.9
    cv2.rectangle(picture, (6, top - 14), (w - 6, top + 6), board.tolist(), -1)
    for x in range(14, w - 60, 92):
        region = picture[top + 8 : h - 12, x : x + 82]
        rows = np.linspace(1.15, 0.75, region.shape[0], dtype=np.float32)[:, None, None]
        region[:] = glass * rows * rng.uniform(0.9, 1.15)
        warm = region[region.shape[0] // 3 :, 10:70]
        warm[:] = warm * 0.6 + np.array([96, 84, 60]) * rng.uniform(0.3, 0.8)
