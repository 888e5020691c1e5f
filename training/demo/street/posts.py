"""Thin things: lamp posts, bollards, traffic signs and their posts."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from training.demo.street.canvas import Canvas
from training.demo.street.labels import POLE, SIGN
from training.demo.street.looks import Look
from training.demo.street.perspective import Perspective
from training.demo.street.shapes import Shape, ShapeBuilder, paint_shape
from training.demo.street.world import Bollard, Lamp, Sign

COLORS = {
    'red': (188.0, 32.0, 36.0),
    'blue': (32.0, 84.0, 168.0),
    'white': (238.0, 238.0, 234.0),
    'black': (24.0, 24.0, 26.0),
    'yellow': (240.0, 196.0, 40.0),
}


def paint_lamp(canvas: Canvas, perspective: Perspective, look: Look, lamp: Lamp) -> None:
    """Paint a lamp post, tapered, with an arm over the road or a lantern on top."""
    shape = _lamp_shape(lamp.height, lamp.arm, -1.0 if lamp.d > 0 else 1.0)
    paint_shape(canvas, perspective, shape, lamp.s, lamp.d, {'post': look.palette.post})


@lru_cache(maxsize=256)
def _lamp_shape(height: float, arm: float, inward: float) -> Shape:
    builder = ShapeBuilder()
    builder.upright(0.0, (0, height), 0.1, 'post', 1.0, POLE, taper=0.6)
    builder.upright(0.03, (0, height), 0.04, 'post', 0.7, taper=0.5)
    builder.upright(0.0, (0, 0.9), 0.14, 'post', 0.9, POLE)
    start, end, lift = -inward * 0.22, inward * max(arm, 0.22), 0.0
    if arm:
        builder.face(
            0.0,
            [0, end, end, 0],
            [height, height + 0.25, height + 0.13, height - 0.12],
            'post',
            1.0,
            POLE,
        )
        start, lift = end - inward * 0.7, 0.2
    top = height + lift
    builder.face(
        0.0,
        [start, end, end, start],
        [top + 0.12, top + 0.12, top - 0.08, top - 0.08],
        'post',
        0.85,
        POLE,
    )
    return builder.build()


def paint_bollard(canvas: Canvas, perspective: Perspective, look: Look, bollard: Bollard) -> None:
    """Paint a short post with a white band."""
    colors = {'post': look.palette.post, 'white': COLORS['white']}
    paint_shape(canvas, perspective, _bollard_shape(), bollard.s, bollard.d, colors)


@lru_cache(maxsize=1)
def _bollard_shape() -> Shape:
    builder = ShapeBuilder()
    builder.upright(0.0, (0, 0.95), 0.07, 'post', 1.0, POLE)
    builder.upright(0.0, (0.72, 0.82), 0.07, 'white')
    return builder.build()


def paint_sign(canvas: Canvas, perspective: Perspective, look: Look, sign: Sign) -> None:
    """Paint a traffic sign on its post."""
    shape = _sign_shape(sign.kind, sign.height, sign.size)
    steel = [0.6 * (c + 130) for c in look.palette.post]
    paint_shape(canvas, perspective, shape, sign.s, sign.d, {**COLORS, 'post': steel})


@lru_cache(maxsize=512)
def _sign_shape(kind: str, height: float, size: float) -> Shape:
    builder = ShapeBuilder()
    builder.upright(0.0, (0, height + 0.2), 0.045, 'post', 1.0, POLE)
    PLATES[kind](_Plate(builder, height, size / 2))
    return builder.build()


class _Plate:
    """The face of a sign, its parts in shares of its half size."""

    def __init__(self, builder: ShapeBuilder, height: float, half: float) -> None:
        self._builder, self._height, self._half = builder, height, half

    def ring(
        self, corners: int, turn: float, share: float, color: str, label: int | None = None
    ) -> None:
        radius = share * self._half
        self._builder.disc(0.0, self._height, (radius, radius), color, 1.0, label, corners, turn)

    def bar(self, width: float, height: float, color: str, label: int | None = None) -> None:
        half = height * self._half
        self._builder.upright(
            0.0, (self._height - half, self._height + half), width * self._half, color, 1.0, label
        )


def _limit(plate: _Plate) -> None:
    plate.ring(20, 0, 1.0, 'red', SIGN)
    plate.ring(20, 0, 0.74, 'white')
    plate.bar(0.38, 0.22, 'black')


def _ban(plate: _Plate) -> None:
    plate.ring(20, 0, 1.0, 'red', SIGN)
    plate.bar(0.7, 0.17, 'white')


def _warning(plate: _Plate) -> None:
    plate.ring(3, np.pi / 2, 1.15, 'red', SIGN)
    plate.ring(3, np.pi / 2, 0.66, 'white')
    plate.bar(0.09, 0.3, 'black')


def _duty(plate: _Plate) -> None:
    plate.ring(20, 0, 1.0, 'blue', SIGN)
    plate.bar(0.14, 0.55, 'white')


def _parking(plate: _Plate) -> None:
    plate.bar(0.9, 0.95, 'blue', SIGN)
    plate.bar(0.26, 0.6, 'white')


def _priority(plate: _Plate) -> None:
    plate.ring(4, 0, 1.15, 'white', SIGN)
    plate.ring(4, 0, 0.86, 'yellow')


def _stop(plate: _Plate) -> None:
    plate.ring(8, np.pi / 8, 1.05, 'red', SIGN)
    plate.bar(0.66, 0.2, 'white')


PLATES: dict[str, Callable[[_Plate], None]] = {
    'limit': _limit,
    'ban': _ban,
    'warning': _warning,
    'duty': _duty,
    'parking': _parking,
    'priority': _priority,
    'stop': _stop,
}
