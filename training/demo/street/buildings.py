"""Houses, hedges and fences: the upright faces along the sidewalk."""

from __future__ import annotations

import numpy as np

from training.demo.street.canvas import Canvas
from training.demo.street.facades import Facade
from training.demo.street.labels import BUILDING, FENCE, VEGETATION
from training.demo.street.materials import Materials
from training.demo.street.perspective import Perspective
from training.demo.street.world import Lot, World

HOUSE_DEPTH_M = 9.0
START_M = 2.2  # faces are cut off nearer than this
FENCE_M, HEDGE_M = 1.25, 1.1


def paint_building(
    canvas: Canvas, perspective: Perspective, world: World, lot: Lot, materials: Materials
) -> None:
    """Paint the house of a lot: end wall, roof, front."""
    facade = materials.facades[lot.choice % len(materials.facades)]
    d = lot.side * (world.line + lot.setback)
    back = d + lot.side * HOUSE_DEPTH_M
    if lot.start > perspective.s + START_M:
        _paint_end(canvas, perspective, world, lot, facade, (d, back))
    if lot.roof_m > 0:
        _paint_roof(canvas, perspective, lot, facade, (d, back))
    light = world.look.light
    gain = light.left_face if lot.side < 0 else light.right_face
    _face_along(canvas, perspective, lot, d, facade, gain)


def _face_along(
    canvas: Canvas, perspective: Perspective, lot: Lot, d: float, facade: Facade, gain: float
) -> None:
    start = max(lot.start, perspective.s + START_M)
    ends, span = _spread(lot, start)
    top = perspective.points(ends, d, facade.height_m)
    foot = perspective.points(ends, d, 0.0)
    corners = np.array([top[0], top[1], foot[1], foot[0]])
    depths = (ends[0] - perspective.s, ends[1] - perspective.s)
    canvas.facade(facade.front, corners, depths, BUILDING, gain, span)
    canvas.line(top, np.asarray(facade.wall) * 0.7 * gain, float(np.mean(depths)))


def _spread(lot: Lot, start: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of a face, left one first as seen from the road, and the part of its texture."""
    cut = (start - lot.start) / (lot.end - lot.start)
    if lot.side < 0:
        return (start, lot.end), (cut, 1.0)
    return (lot.end, start), (0.0, 1.0 - cut)


def _paint_end(
    canvas: Canvas,
    perspective: Perspective,
    world: World,
    lot: Lot,
    facade: Facade,
    across: tuple[float, float],
) -> None:
    left, right = sorted(across)
    gain, z = world.look.light.front_face, lot.start - perspective.s
    top = perspective.points(lot.start, [left, right], facade.height_m)
    foot = perspective.points(lot.start, [left, right], 0.0)
    corners = np.array([top[0], top[1], foot[1], foot[0]])
    canvas.facade(facade.end, corners, (z, z), BUILDING, gain)
    canvas.line(top, np.asarray(facade.wall) * 0.7, z)
    if lot.roof_m > 0:
        gable = perspective.points(
            lot.start,
            [left, (left + right) / 2, right],
            facade.height_m + np.array([0, lot.roof_m, 0]),
        )
        canvas.polygon(gable, np.asarray(facade.wall) * gain * 0.97, z, BUILDING)


def _paint_roof(
    canvas: Canvas, perspective: Perspective, lot: Lot, facade: Facade, across: tuple[float, float]
) -> None:
    """The slope that faces the road, if it can be seen from the camera's height."""
    d, back = across
    ridge_d, ridge_y = (d + back) / 2, facade.height_m + lot.roof_m
    start = max(lot.start, perspective.s + START_M)
    s = np.array([start, lot.end, lot.end, start])
    edge = d - lot.side * 0.3
    slope = perspective.points(
        s, [edge, edge, ridge_d, ridge_d], [facade.height_m - 0.1] * 2 + [ridge_y] * 2
    )
    x, y = slope[:, 0], slope[:, 1]
    area = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    if area * lot.side < 0:
        return
    z = (start + lot.end) / 2 - perspective.s
    canvas.polygon(slope, facade.roof, z, BUILDING)
    for share in (0.25, 0.5, 0.75):
        row = slope[:2] * (1 - share) + slope[[3, 2]] * share
        canvas.line(row, np.asarray(facade.roof) * 0.86, z)


def paint_boundary(
    canvas: Canvas, perspective: Perspective, world: World, lot: Lot, materials: Materials
) -> None:
    """Paint the fence or hedge between the sidewalk and a park."""
    start = max(lot.start, perspective.s + START_M)
    if lot.end <= start:
        return
    rows, height, label = (
        (materials.fences, FENCE_M, FENCE)
        if lot.fenced
        else (materials.hedges, HEDGE_M, VEGETATION)
    )
    ends, span = _spread(lot, start)
    d = lot.side * (world.line + 0.15)
    top, foot = perspective.points(ends, d, height), perspective.points(ends, d, 0.0)
    corners = np.array([top[0], top[1], foot[1], foot[0]])
    depths = (ends[0] - perspective.s, ends[1] - perspective.s)
    light = world.look.light
    gain = light.left_face if lot.side < 0 else light.right_face
    canvas.facade(rows[lot.choice % len(rows)], corners, depths, label, gain, span)
