"""Persons as jointed outlines: legs, coat, arms and head."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from training.demo.street.canvas import Canvas
from training.demo.street.labels import PERSON
from training.demo.street.looks import Look
from training.demo.street.perspective import Perspective
from training.demo.street.shapes import Shape, ShapeBuilder, paint_shape
from training.demo.street.world import Person

SKINS = ((232, 190, 160), (206, 158, 124), (150, 104, 76), (104, 72, 54))
HAIR = ((48, 36, 30), (92, 66, 42), (172, 140, 92), (120, 118, 116))
POSES = 16  # a stride is shown in so many poses
STRIDES_PER_S = 1.1


def paint_person(
    canvas: Canvas,
    perspective: Perspective,
    look: Look,
    person: Person,
    s: float,
    d: float,
    seconds: float,
) -> None:
    """Paint a person who is at (s, d) now; the gait follows the time."""
    if s - perspective.s < 1.6:
        return
    seed = person.seed
    sideways = person.cross_speed != 0
    walking = sideways or person.speed != 0
    stride = seed % 97 / 97 + (STRIDES_PER_S * seconds if walking else 0.0)
    shape = _person_shape(
        int(stride * POSES) % POSES, walking, sideways, seed % 3 == 0, seed % 5 < 2
    )
    shade = 0.85 + (seed // 8 % 10) * 0.03
    coats, trousers = look.palette.coats, look.palette.trousers
    colors = {
        'coat': [c * shade for c in coats[seed // 16 % len(coats)]],
        'trousers': [c * shade for c in trousers[seed // 128 % len(trousers)]],
        'skin': SKINS[seed // 512 % len(SKINS)],
        'hair': HAIR[seed // 2048 % len(HAIR)],
        'leather': (60.0, 44.0, 36.0),
    }
    paint_shape(canvas, perspective, shape, s, d, colors, person.height)


@lru_cache(maxsize=512)
def _person_shape(pose: int, walking: bool, sideways: bool, long_coat: bool, bag: bool) -> Shape:
    """A person of height 1 who faces the camera or, sideways, crosses its view."""
    builder = ShapeBuilder()
    phase = np.sin(2 * np.pi * pose / POSES)
    swing = phase * (0.11 if sideways else 0.045) if walking else 0.02
    half = 0.095 if sideways else 0.135
    for sign in (-1.0, 1.0):
        _add_leg(builder, sign, swing)

    def coat(x: list[float], y: list[float], shade: float) -> None:
        builder.face(0.0, x, y, 'coat', shade, PERSON)

    arm, hem = swing * 0.9, 0.34 if long_coat else 0.46
    coat(
        [half - 0.03, half + 0.035, half + 0.03 + arm, half - 0.03 + arm],
        [0.80, 0.78, 0.44, 0.44],
        0.74,
    )
    coat(
        [-half * 0.72, -half, -half * 0.55, half * 0.55, half, half * 0.72],
        [hem, 0.79, 0.84, 0.84, 0.79, hem],
        1.0,
    )
    coat([0.2 * half, half, half * 0.72, 0.2 * half], [0.83, 0.79, hem, hem], 0.86)
    coat(
        [-half - 0.035, -half + 0.03, -half + 0.03 - arm, -half - 0.03 - arm],
        [0.78, 0.80, 0.44, 0.44],
        0.92,
    )
    if bag:
        builder.face(
            0.0,
            [-half - 0.06, -half + 0.04, -half + 0.04, -half - 0.06],
            [0.56, 0.56, 0.38, 0.38],
            'leather',
            1.5,
            PERSON,
        )
    builder.disc(0.0, 0.937, (0.062, 0.063), 'hair', 1.0, PERSON, 12)
    builder.disc(0.0, 0.908, (0.052, 0.064), 'skin', 1.0, PERSON, 12)
    return builder.build()


def _add_leg(builder: ShapeBuilder, sign: float, swing: float) -> None:
    hip, step = sign * 0.045, sign * (0.04 + swing)
    lift = max(0.0, -sign * swing) * 0.25
    builder.face(
        0.0,
        [hip - 0.05, hip + 0.05, step + 0.035, step - 0.035],
        [0.5, 0.5, lift, lift],
        'trousers',
        0.82 if sign > 0 else 1.0,
        PERSON,
    )
    builder.face(
        0.0,
        [step - 0.04, step + 0.05, step + 0.05, step - 0.04],
        [0.035 + lift, 0.035 + lift, lift, lift],
        'leather',
        0.7,
        PERSON,
    )
