"""The ground: road, markings, sidewalk, lawns, their grain, and the shadows that fall on them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.demo.street.canvas import Canvas
from training.demo.street.labels import ROAD, SIDEWALK, VEGETATION
from training.demo.street.materials import Materials
from training.demo.street.perspective import Perspective
from training.demo.street.shadows import shadow_mask
from training.demo.street.world import World

FAR_M = 400.0
CELLS_PER_M = 16
DASH_M, GAP_M = 3.0, 4.5


def paint_ground(
    canvas: Canvas, perspective: Perspective, world: World, materials: Materials, seconds: float
) -> None:
    """Paint everything below the horizon.

    Args:
        canvas: painted in place; the backdrop is already there.
        perspective: from where.
        world: whose road.
        materials: whose grain.
        seconds: time since the start of the drive, for the shadows of what moves.
    """
    palette = world.look.palette
    first, depths = perspective.ground_rows()
    canvas.image[first:] = np.asarray(palette.sidewalk, np.uint8)
    canvas.labels[first:] = SIDEWALK
    _paint_lots(canvas, perspective, world)
    near, ahead = perspective.s, perspective.s + np.geomspace(0.8, FAR_M, 40)
    half = world.half_road
    _strip(canvas, perspective, ahead, -half - 0.22, half + 0.22, palette.curb, SIDEWALK)
    _strip(canvas, perspective, ahead, -half, half, palette.road, ROAD)
    _paint_wear(canvas, perspective, world)
    _paint_markings(canvas, perspective, world, near)
    _finish(canvas, perspective, world, materials, (first, depths), seconds)


def _strip(
    canvas: Canvas,
    perspective: Perspective,
    s: NDArray[np.float64],
    left: float,
    right: float,
    color: tuple[float, ...],
    label: int | None,
) -> None:
    """A band along the road between two sideways places."""
    outline = np.concatenate(
        [perspective.points(s, left, 0.0), perspective.points(s[::-1], right, 0.0)]
    )
    canvas.polygon(outline, color, 0.0, label)


def _paint_lots(canvas: Canvas, perspective: Perspective, world: World) -> None:
    palette = world.look.palette
    for lot in world.lots:
        if lot.kind == 'building' or lot.end < perspective.s + 0.5:
            continue
        inner = world.line if lot.kind == 'park' else world.half_road - 0.1
        s = np.linspace(max(lot.start, perspective.s), lot.end, 4)
        color, label = (palette.grass, VEGETATION) if lot.kind == 'park' else (palette.road, ROAD)
        _strip(canvas, perspective, s, lot.side * inner, lot.side * 60.0, color, label)


def _paint_wear(canvas: Canvas, perspective: Perspective, world: World) -> None:
    """Repaired patches, cracks and manhole covers."""
    wear = world.look.surface.wear
    rng = np.random.default_rng(world.choice)
    road = np.asarray(world.look.palette.road)
    for s in np.arange(world.start, world.end, 5.0):
        draw = rng.uniform(size=6)
        if not perspective.s + 0.5 < s < perspective.s + 70 or draw[0] > 0.3 + 0.5 * wear:
            continue
        d, length = (draw[1] * 2 - 1) * world.half_road * 0.75, 0.8 + 5 * draw[2]
        if draw[3] < 0.25:
            _patch(canvas, perspective, s, 0.7, d, 0.35, road * 0.62, corners=14)
        elif draw[3] < 0.7 and wear > 0:
            _patch(canvas, perspective, s, length, d, 0.4 + draw[4], road * (0.8 + 0.12 * draw[5]))
        elif wear > 0:
            steps = np.linspace(0, length, 6)
            crack = perspective.points(s + steps, d + 0.25 * np.sin(steps * (2 + 4 * draw[4])), 0)
            canvas.line(crack, road * 0.6)


def _patch(
    canvas: Canvas,
    perspective: Perspective,
    s: float,
    length: float,
    d: float,
    half_width: float,
    color: NDArray[np.float64],
    corners: int = 4,
) -> None:
    turn = np.arange(corners) * 2 * np.pi / corners + np.pi / 4
    reach = np.sqrt(2) if corners == 4 else 1.0
    canvas.polygon(
        perspective.points(
            s + length / 2 * (1 + reach * np.cos(turn)), d + half_width * reach * np.sin(turn), 0.0
        ),
        color,
    )


def _paint_markings(canvas: Canvas, perspective: Perspective, world: World, near: float) -> None:
    palette, wear = world.look.palette, world.look.surface.wear
    share = 0.35 * wear
    paint = tuple(np.asarray(palette.marking) * (1 - share) + np.asarray(palette.road) * share)
    step = DASH_M + GAP_M
    for s in np.arange(np.floor(near / step) * step, near + 140, step):
        if s + DASH_M > near + 0.8 and not _on_crossing(world, s):
            along = np.linspace(max(s, near + 0.6), s + DASH_M, 3)
            _strip(canvas, perspective, along, -0.07, 0.07, paint, None)
    ahead = near + np.geomspace(0.8, 160, 24)
    for side in (-1, 1):
        edge = side * world.lane
        _strip(canvas, perspective, ahead, edge - 0.05, edge + 0.05, paint, None)
        for s in np.arange(np.floor(near / 6) * 6 - 3, near + 70, 6.0):
            if s > near + 0.6:
                ends = sorted((edge, side * world.half_road))
                _strip(canvas, perspective, np.array([s, s + 0.1]), ends[0], ends[1], paint, None)
    for start in world.crossings:
        if near - 2 < start < near + 110:
            _paint_zebra(canvas, perspective, world, start, paint)


def _paint_zebra(
    canvas: Canvas, perspective: Perspective, world: World, start: float, paint: tuple[float, ...]
) -> None:
    s = np.array([max(start, perspective.s + 0.6), start + 3.4])
    if s[1] <= s[0]:
        return
    for d in np.arange(-world.half_road + 0.3, world.half_road - 0.5, 1.0):
        _strip(canvas, perspective, s, d, d + 0.5, paint, None)


def _on_crossing(world: World, s: float) -> bool:
    return any(start - DASH_M < s < start + 4 for start in world.crossings)


def _finish(
    canvas: Canvas,
    perspective: Perspective,
    world: World,
    materials: Materials,
    rows: tuple[int, NDArray[np.float64]],
    seconds: float,
) -> None:
    """Grain, shadows and haze in one pass over the rows below the horizon."""
    first, depths = rows
    view, light = perspective.view, world.look.light
    z = depths.astype(np.float32)[:, None]
    shift = perspective.offset(depths).astype(np.float32)[:, None]
    columns = (np.arange(view.width, dtype=np.float32) - np.float32(view.cx))[None, :]
    map_x = (columns * (z / np.float32(view.focal)) - shift) * CELLS_PER_M
    along = (perspective.s + depths[:, None]) * CELLS_PER_M % 512
    map_y = np.repeat(along.astype(np.float32), view.width, axis=1)
    noise = cv2.remap(materials.ground, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    fine = np.clip(14.0 / z, 0.06, 1.0)
    on_road = canvas.labels[first:] == ROAD
    gain = 1 + fine * np.where(on_road, noise[..., 0], noise[..., 1])
    gain *= 1 - light.shadow * shadow_mask(canvas, perspective, world, first, seconds)
    fade = (1 - np.exp(-z / light.haze_m)).astype(np.float32)
    gain *= 1 - fade
    lit = canvas.image[first:] * gain[..., None]
    lit += fade[..., None] * np.asarray(world.look.palette.haze, np.float32) + 0.5
    canvas.image[first:] = np.clip(lit, 0, 255, out=lit).astype(np.uint8)
