"""Cars as small solid shapes: deck, cabin, sides, wheels and lamps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from training.demo.street.canvas import Canvas
from training.demo.street.labels import CAR
from training.demo.street.looks import Look
from training.demo.street.perspective import Perspective
from training.demo.street.shapes import Shape, ShapeBuilder, paint_shape
from training.demo.street.world import Car

# length, width, height, height of the deck [m]; cabin along the length, tail = 0: foot of the rear
# window, its top, top of the windscreen, its foot
SIZES = {
    'hatch': (3.9, 1.75, 1.48, 0.92, 0.03, 0.14, 0.58, 0.78),
    'sedan': (4.6, 1.8, 1.44, 0.92, 0.12, 0.28, 0.58, 0.76),
    'suv': (4.5, 1.88, 1.70, 1.05, 0.02, 0.10, 0.60, 0.76),
    'van': (5.2, 2.0, 2.15, 1.15, 0.00, 0.02, 0.80, 0.94),
}
SILL_M = 0.22  # lower edge of the body
WHEEL_M = 0.33  # radius
CLEAR_M = 4.0  # nobody is so close ahead in the own lane
DETAIL_M = 0.09  # details of this size are left out where they are below a pixel
FIXED = {
    'tyre': (28.0, 28.0, 30.0),
    'hub': (150.0, 152.0, 156.0),
    'tail': (196.0, 40.0, 36.0),
    'front': (244.0, 242.0, 228.0),
    'plate': (226.0, 226.0, 218.0),
}


def paint_car(canvas: Canvas, perspective: Perspective, look: Look, car: Car, s: float) -> None:
    """Paint a car whose middle is at s now."""
    across = perspective.across(s, car.d)
    length, width = SIZES[car.kind][:2]
    if s - length / 2 < perspective.s + CLEAR_M and abs(across) < 1.6:
        return
    side = 0 if abs(across) < width / 2 else (1 if across < 0 else -1)
    shape = _car_shape(car.kind, car.forward, side, perspective.scale(s) * DETAIL_M > 1)
    paint = look.palette.cars[car.choice % len(look.palette.cars)]
    shade = 0.94 + 0.02 * (car.choice % 7)
    colors = {**FIXED, 'paint': [c * shade for c in paint], 'glass': look.palette.glass}
    paint_shape(canvas, perspective, shape, s, car.d, colors)


@lru_cache(maxsize=64)
def _car_shape(kind: str, forward: bool, side: int, detailed: bool) -> Shape:
    """A car around its middle; side 1 or -1: the flank that is seen, 0: none."""
    builder = _CarBuilder(kind, side, detailed)
    builder.box([0, 0, 1, 1], [-1, 1, 1, -1], builder.deck - 0.04, 'paint', 1.08, CAR)
    cabin = np.array(SIZES[kind][4:])
    builder.add_cabin(cabin if forward else (1 - cabin)[::-1])
    for a in (-0.8, 0.8):  # tyres below the near end
        builder.box(
            0.12, a + 0.14 * np.array([-1, -1, 1, 1]), [0, 0.45, 0.45, 0], 'tyre', 1.0, CAR
        )
    if side:
        builder.add_side()
    builder.add_end(forward)
    return builder.build()


class _CarBuilder(ShapeBuilder):
    """Adds faces in a car's own axes: u along it from its near end, a across (-1..1), y up [m]."""

    def __init__(self, kind: str, side: int, detailed: bool) -> None:
        super().__init__()
        self.length, self.width, self.top, self.deck = SIZES[kind][:4]
        self.side, self.detailed = side, detailed

    def box(
        self,
        u: object,
        a: object,
        y: object,
        material: str,
        shade: float = 1.0,
        label: int | None = None,
    ) -> None:
        self.face(
            (np.asarray(u, float) - 0.5) * self.length,
            np.asarray(a, float) * self.width / 2,
            np.asarray(y, float),
            material,
            shade,
            label,
        )

    def add_cabin(self, cabin: np.ndarray) -> None:
        (u0, u1, u2, u3), deck, top = cabin, self.deck, self.top
        foot = deck - 0.06
        if self.side:
            a = np.array([0.95, 0.80, 0.80, 0.95]) * self.side
            self.box(cabin, a, [foot, top, top, foot], 'paint', 0.82, CAR)
            low, high = deck + 0.03, top - 0.1 * (top - deck) - 0.04
            for left, right in ((0.10, 0.48), (0.53, 0.92)):
                below = u0 + (u3 - u0) * np.array([left, right])
                above = u1 + (u2 - u1) * np.array([left, right])
                self.box(
                    [below[0], above[0], above[1], below[1]],
                    a,
                    [low, high, high, low],
                    'glass',
                    0.53,
                )
        self.box([u1, u1, u2, u2], [-0.8, 0.8, 0.8, -0.8], top, 'paint', 1.1, CAR)
        self.box(
            [u0, u1, u1, u0], [-0.95, -0.8, 0.8, 0.95], [foot, top, top, foot], 'paint', 0.9, CAR
        )
        rise = np.array([0.10, 0.86, 0.86, 0.10])
        u, y = u0 + (u1 - u0) * rise, deck + (top - deck) * rise
        self.box(u, [-0.84, -0.72, 0.72, 0.84], y, 'glass', 0.62)
        if self.detailed:
            self.box(u, [-0.3, -0.1, 0.25, 0.1], y, 'glass', 0.8)

    def add_side(self) -> None:
        deck, side = self.deck, self.side
        self.box(
            [0, 0, 0.02, 0.98, 1, 1],
            side,
            [SILL_M, deck - 0.12, deck, deck, deck - 0.2, SILL_M],
            'paint',
            0.86,
            CAR,
        )
        if self.detailed:
            u = np.array([0.02, 0.02, 0.98, 0.98])
            self.box(u, side, [SILL_M, 0.4, 0.4, SILL_M], 'paint', 0.58)
            self.box(u, side, [deck - 0.14, deck - 0.03, deck - 0.03, deck - 0.14], 'paint')
        turn = np.arange(14) * 2 * np.pi / 14
        rings = (
            [
                (1.18, 'paint', 0.3, None),
                (1.0, 'tyre', 1.0, CAR),
                (0.62, 'hub', 1.0, None),
                (0.22, 'hub', 0.5, None),
            ]
            if self.detailed
            else [(1.0, 'tyre', 1.0, CAR)]
        )
        for u in (0.17, 0.82):
            for reach, material, shade, label in rings:
                self.box(
                    u + reach * WHEEL_M / self.length * np.cos(turn),
                    side,
                    WHEEL_M * (1 + reach * np.sin(turn)),
                    material,
                    shade,
                    label,
                )

    def _band(
        self,
        half: float,
        low: float,
        high: float,
        material: str,
        shade: float = 1.0,
        middle: float = 0.0,
    ) -> None:
        self.box(
            0.0, middle + half * np.array([-1, -1, 1, 1]), [low, high, high, low], material, shade
        )

    def add_end(self, forward: bool) -> None:
        """The end that the camera sees: a tail when it drives ahead, a front when it comes."""
        deck = self.deck
        if self.side:  # the bevel between flank and end
            self.box(
                [0, 0.02, 0],
                self.side * np.array([1, 1, 0.94]),
                [deck - 0.16, deck, deck],
                'paint',
                1.0,
                CAR,
            )
        self.box(
            0.0,
            [-1, -1, -0.97, 0.97, 1, 1],
            [SILL_M, deck - 0.12, deck, deck, deck - 0.12, SILL_M],
            'paint',
            0.95,
            CAR,
        )
        self._band(1.0, SILL_M, 0.40, 'paint', 0.42)
        lamp = 'tail' if forward else 'front'
        for middle in (-0.8, 0.8):
            self._band(0.17, deck - 0.32, deck - 0.12, lamp, 0.8, middle)
        if not self.detailed:
            return
        self._band(0.96, deck - 0.09, deck - 0.02, 'paint', 1.1)
        for middle in (-0.8, 0.8):
            self._band(0.12, deck - 0.28, deck - 0.16, lamp, 1.0, middle)
        if not forward:
            self._band(0.55, deck - 0.34, deck - 0.14, 'tyre', 1.4)
        self._band(0.27, 0.46, 0.57, 'plate')
