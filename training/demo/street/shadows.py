"""Shadows on the ground: long ones away from the sun, and dark contact under cars."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.demo.street.canvas import Canvas
from training.demo.street.perspective import Perspective
from training.demo.street.vehicles import SIZES
from training.demo.street.world import Bollard, Lamp, World

REACH_M = 90.0  # shadows farther than this are not drawn


def shadow_mask(
    canvas: Canvas, perspective: Perspective, world: World, first: int, seconds: float
) -> NDArray[np.float32]:
    """How shaded each ground pixel is, float32 (rows from first on, W), 0..1 and above in contact.

    Args:
        canvas: gives the size.
        perspective: from where.
        world: what stands there.
        first: first row of the ground.
        seconds: time since the start of the drive.
    """
    height, width = canvas.labels.shape
    mask = np.zeros((height - first, width), np.uint8)
    light = world.look.light
    reach = np.array([light.shadow_s, light.shadow_d])
    _shade_houses(mask, perspective, world, first, reach)
    for tree in world.trees:
        if perspective.s - 4 < tree.s < perspective.s + REACH_M:
            foot = np.array([tree.s, tree.d]) + reach * tree.height * 0.62
            _blob(mask, perspective, first, foot, tree.height * np.array([0.34, 0.3]), 150)
    for post in world.posts:
        if perspective.s + 1 < post.s < perspective.s + 40:
            height = 0.95 if isinstance(post, Bollard) else post.height
            tip = np.array([post.s, post.d]) + reach * height
            width_m = 0.07 if isinstance(post, Lamp) else 0.04
            _fill(
                mask,
                perspective,
                first,
                np.array([post.s, post.s, tip[0], tip[0]]),
                np.array([post.d - width_m, post.d + width_m, tip[1] + width_m, tip[1] - width_m]),
                140,
            )
    mask = cv2.blur(mask, (5, 5))
    _shade_movers(mask, perspective, world, first, seconds, reach)
    return cv2.blur(mask, (3, 3)).astype(np.float32) / 160.0


def _fill(
    mask: NDArray[np.uint8],
    perspective: Perspective,
    first: int,
    s: NDArray[np.float64],
    d: NDArray[np.float64],
    dark: int,
) -> None:
    if s.max() < perspective.s + 0.8:
        return
    points = perspective.points(s, d, 0.0) - [0, first]
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], dark, cv2.LINE_8, 4)


def _blob(
    mask: NDArray[np.uint8],
    perspective: Perspective,
    first: int,
    middle: NDArray[np.float64],
    size: NDArray[np.float64],
    dark: int,
) -> None:
    turn = np.arange(14) * 2 * np.pi / 14
    wobble = 1 + 0.16 * np.sin(3 * turn + middle[0]) + 0.1 * np.cos(5 * turn + middle[1])
    _fill(
        mask,
        perspective,
        first,
        middle[0] + size[0] * wobble * np.cos(turn),
        middle[1] + size[1] * wobble * np.sin(turn),
        dark,
    )


def _shade_houses(
    mask: NDArray[np.uint8],
    perspective: Perspective,
    world: World,
    first: int,
    reach: NDArray[np.float64],
) -> None:
    """A house on the sunny side lays its outline over sidewalk and road."""
    toward = 1 if reach[1] > 0 else -1
    for lot in world.lots:
        outside = lot.end < perspective.s - 8 or lot.start > perspective.s + REACH_M
        if lot.kind != 'building' or lot.side == toward or outside:
            continue
        height = 7.0 + (lot.choice % 5) * 0.8
        d = lot.side * (world.line + lot.setback)
        long = np.array([lot.start, lot.start, lot.end, lot.end])
        s = long + np.array([0, height, height, 0]) * reach[0]
        _fill(mask, perspective, first, s, d + np.array([0, 1, 1, 0]) * height * reach[1], 150)


def _shade_movers(
    mask: NDArray[np.uint8],
    perspective: Perspective,
    world: World,
    first: int,
    seconds: float,
    reach: NDArray[np.float64],
) -> None:
    for person in world.persons:
        s, d = person.place(seconds)
        if perspective.s + 1.5 < s < perspective.s + 45:
            _blob(
                mask,
                perspective,
                first,
                np.array([s, d]) + reach * 0.5,
                np.array([0.22, 0.22]) + np.abs(reach) * 0.5,
                140,
            )
    for car in world.cars:
        s = car.place(seconds)
        if perspective.s - 2 < s < perspective.s + REACH_M:
            length, width, height = SIZES[car.kind][:3]
            move = reach * height * 0.8
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [length / 2, width / 2]
            for shift, dark in ((move, 150), (0 * move, 240)):
                grown = corners * 1.04 + shift * 0.5 + np.sign(corners) * np.abs(shift) * 0.5
                _fill(mask, perspective, first, s + grown[:, 0], car.d + grown[:, 1], dark)
