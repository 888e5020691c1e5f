"""What is too far to be an object: sky, clouds, and the skyline along the horizon."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.demo.street.canvas import Canvas
from training.demo.street.labels import BUILDING, SKY, VEGETATION
from training.demo.street.looks import Look
from training.demo.street.perspective import Perspective, View
from training.demo.street.textures import cloud_noise

SPARE = 0.3  # extra width on each side, share of the image's width, for turning
BELOW = 12  # rows below the horizon, for nodding [px]


@dataclass(frozen=True)
class Backdrop:
    """uint8 (h, w, 3) RGB and its labels (h, w); the horizon is BELOW rows above the end."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def paint(self, canvas: Canvas, perspective: Perspective) -> None:
        """Lay it behind everything, shifted by the camera's heading and nodding."""
        view = perspective.view
        bottom = min(int(np.floor(view.cy)) + BELOW, view.height)
        spare = (self.image.shape[1] - view.width) // 2
        left = int(np.clip(spare + view.focal * perspective.heading, 0, 2 * spare))
        rows = min(bottom, self.image.shape[0])
        top = self.image.shape[0] - rows
        canvas.image[bottom - rows : bottom] = self.image[top:, left : left + view.width]
        canvas.labels[bottom - rows : bottom] = self.labels[top:, left : left + view.width]


def make_backdrop(rng: np.random.Generator, look: Look, view: View) -> Backdrop:
    """Draw a sky with clouds and a skyline of far houses and trees."""
    height = int(np.ceil(view.cy)) + 2 * BELOW
    width = view.width + 2 * int(SPARE * view.width)
    horizon = height - BELOW
    canvas = Canvas(width, height, look.palette.haze, look.light.haze_m)
    canvas.image[:] = _sky(rng, look, view, width, height, horizon)
    canvas.labels[:] = SKY
    _add_skyline(rng, canvas, look, view, horizon)
    return Backdrop(canvas.image, canvas.labels)


def _sky(
    rng: np.random.Generator, look: Look, view: View, width: int, height: int, horizon: int
) -> NDArray[np.uint8]:
    """A gradient under a flat layer of clouds, which the perspective thins to the horizon."""
    rise = np.maximum(horizon - np.arange(height), 0.5).astype(np.float32)
    share = np.clip(rise / max(horizon, 1), 0, 1)[:, None, None] ** 0.75
    sky = np.asarray(look.palette.sky_top) * share + np.asarray(look.palette.sky_low) * (1 - share)
    sky = np.repeat(sky, width, axis=1).astype(np.float32)
    tile = cloud_noise(rng, 512, octaves=6, coarse=4)
    far = 70.0 * view.focal / (rise[:, None] + 0.07 * view.focal)
    columns = (np.arange(width, dtype=np.float32) - width / 2)[None, :]
    map_x = far * columns / view.focal * 1.4 + 256
    map_y = np.repeat(far * 1.2, width, axis=1)
    noise = cv2.remap(
        tile,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    clouds = rng.uniform(*look.light.clouds)
    cover = np.clip((noise - 1.1 + 2.0 * clouds) * 0.9, 0, 1)[..., None]
    cover *= np.clip(rise / (0.12 * view.focal), 0.25, 1)[:, None, None]
    shade = np.clip(1.02 - 0.10 * cover, 0, 1)
    mixed = sky * (1 - cover) + np.asarray(look.palette.cloud, np.float32) * shade * cover
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _add_skyline(
    rng: np.random.Generator, canvas: Canvas, look: Look, view: View, horizon: int
) -> None:
    width = canvas.labels.shape[1]
    unit = view.focal / 760
    x = -20.0
    while x < width:
        wide, tall = rng.uniform(22, 60) * unit, rng.uniform(9, 34) * unit
        if rng.uniform() < 0.5:
            box = np.array(
                [
                    [x, horizon - tall],
                    [x + wide, horizon - tall],
                    [x + wide, horizon + BELOW],
                    [x, horizon + BELOW],
                ]
            )
            color = np.array(look.palette.walls[rng.integers(len(look.palette.walls))]) * 0.9
            canvas.polygon(box, color, 190.0, BUILDING)
            roof = np.array(
                [
                    [x - 2, horizon - tall],
                    [x + wide / 2, horizon - tall - 7 * unit],
                    [x + wide + 2, horizon - tall],
                ]
            )
            canvas.polygon(roof, look.palette.roofs[0], 190.0, BUILDING)
        x += wide * rng.uniform(0.7, 1.1)
    _add_treeline(rng, canvas, look, unit, horizon)


def _add_treeline(
    rng: np.random.Generator, canvas: Canvas, look: Look, unit: float, horizon: int
) -> None:
    width = canvas.labels.shape[1]
    base = np.array(
        [
            [0, horizon - 5 * unit],
            [width, horizon - 5 * unit],
            [width, horizon + BELOW],
            [0, horizon + BELOW],
        ],
        np.float64,
    )
    canvas.polygon(base, np.array(look.palette.leaves[0]) * 0.85, 170.0, VEGETATION)
    for x in np.arange(0, width, 7 * unit):
        size = rng.uniform(4, 13) * unit
        leaf = np.array(look.palette.leaves[rng.integers(len(look.palette.leaves))])
        canvas.disc(
            (x + rng.uniform(-3, 3), horizon - 4 * unit),
            (size * 0.9, size),
            leaf * rng.uniform(0.75, 1.0),
            165.0,
            VEGETATION,
        )
