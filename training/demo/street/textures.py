"""Noise, mip levels and leafy sprites: the small pictures that the street is papered with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


class Mipmap:
    """A picture and its halvings, so that far copies do not flicker.

    Args:
        picture: uint8 (h, w, channels).
    """

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self.height, self.width = picture.shape[:2]
        self.levels = [picture]
        while min(picture.shape[:2]) > 8:
            height, width = picture.shape[:2]
            picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self.levels.append(picture)

    def level(self, scale: float) -> NDArray[np.uint8]:
        """The halving that suits a picture shown at scale (1 = its own size)."""
        step = int(np.floor(-np.log2(max(scale, 1e-6)) + 0.25))
        return self.levels[min(max(step, 0), len(self.levels) - 1)]


def cloud_noise(
    rng: np.random.Generator, size: int, octaves: int = 5, coarse: int = 4
) -> NDArray[np.float32]:
    """Soft noise that tiles: float32 (size, size), mean 0, standard deviation 1.

    Args:
        rng: source of the noise.
        size: edge of the tile [px].
        octaves: how many layers, each twice as fine and half as strong.
        coarse: cells of the coarsest layer along an edge.
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = coarse << octave
        grid = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode='wrap')
        step = size / cells
        matrix = np.array([[step, 0, -2 * step + step / 2], [0, step, -2 * step + step / 2]])
        layer = cv2.warpAffine(grid, matrix, (size, size), flags=cv2.INTER_CUBIC)
        total += layer * 0.55**octave
    return (total - total.mean()) / total.std()


def tree_sprite(
    rng: np.random.Generator,
    leaf: tuple[float, float, float],
    shape: str,
    contrast: float,
    density: float,
) -> Mipmap:
    """A tree with its trunk, foot at the lower edge, premultiplied RGBA (416, 320, 4).

    Args:
        rng: source of the shape.
        leaf: mean colour of the leaves, RGB.
        shape: 'round', 'tall', 'cone' or 'wide'.
        contrast: how much darker the shaded side is, 0..1.
        density: share of the crown that leaves close, 0..1.
    """
    picture = np.zeros((416, 320, 4), np.uint8)
    middle = {'round': (160, 150), 'tall': (160, 170), 'cone': (160, 190), 'wide': (160, 140)}
    radius = {'round': (118, 118), 'tall': (78, 158), 'cone': (92, 180), 'wide': (148, 104)}
    cx, cy = middle[shape]
    rx, ry = radius[shape]
    _draw_trunk(rng, picture, (cx, cy), ry, branches=0 if shape == 'cone' else 5)
    count = int(150 * density) + 40
    turn, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 0.86, count))
    x, y = cx + rx * reach * np.cos(turn), cy + ry * reach * np.sin(turn)
    if shape == 'cone':
        x = cx + (x - cx) * np.clip((y - cy + ry) / (1.5 * ry), 0.06, 1)
    size = rng.uniform(0.09, 0.22, count) * min(rx, ry) * (0.7 if shape == 'cone' else 1.0)
    light = 0.6 * (cy - y) / ry - 0.35 * (x - cx) / rx
    for i in np.argsort(light + rng.normal(0, 0.12, count)):
        _draw_clump(rng, picture, (x[i], y[i]), size[i], float(light[i]), leaf, contrast)
    picture[..., :3] = (picture[..., :3] * (picture[..., 3:] / 255.0)).astype(np.uint8)
    return Mipmap(picture)


def _draw_trunk(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    crown: tuple[int, int],
    ry: int,
    branches: int,
) -> None:
    cx, cy = crown
    bark = np.array([92, 74, 58]) * rng.uniform(0.75, 1.1)
    foot, top = 10.0, 6.0
    trunk = np.array(
        [[cx - foot, 416], [cx - top, cy + ry * 0.3], [cx + top, cy + ry * 0.3], [cx + foot, 416]]
    )
    cv2.fillPoly(picture, [trunk.astype(np.int32)], (*bark.tolist(), 255), cv2.LINE_AA)
    shade = np.array([[cx + 2, 416], [cx + 1, cy], [cx + top, cy], [cx + foot, 416]])
    cv2.fillPoly(picture, [shade.astype(np.int32)], (*(bark * 0.7).tolist(), 255), cv2.LINE_AA)
    for _ in range(branches):
        start = (cx, int(cy + ry * rng.uniform(0.3, 0.85)))
        end = (int(cx + rng.uniform(-0.6, 0.6) * ry), int(start[1] - ry * rng.uniform(0.4, 0.7)))
        cv2.line(picture, start, end, (*(bark * 0.85).tolist(), 255), 5, cv2.LINE_AA)


def _draw_clump(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    place: tuple[float, float],
    size: float,
    light: float,
    leaf: tuple[float, float, float],
    contrast: float,
) -> None:
    """One tuft: a soft blob with a few bright leaves on its sunny side."""
    base = np.asarray(leaf) * (1 + contrast * (light + rng.normal(0, 0.12)))
    cv2.ellipse(
        picture,
        (int(place[0]), int(place[1])),
        (int(size), int(size * 0.8)),
        rng.uniform(-40, 40),
        0,
        360,
        (*np.clip(base, 0, 255).tolist(), 255),
        -1,
        cv2.LINE_AA,
    )
    for _ in range(9):
        spot = np.array(place) + rng.normal(0, 0.62, 2) * size
        tone = np.clip(base * rng.uniform(1 - 0.4 * contrast, 1 + 0.45 * contrast), 0, 255)
        cv2.ellipse(
            picture,
            (int(spot[0]), int(spot[1])),
            (int(rng.uniform(2, 5)), int(rng.uniform(2, 4))),
            rng.uniform(0, 180),
            0,
            360,
            (*tone.tolist(), 255),
            -1,
            cv2.LINE_AA,
        )


def hedge_texture(
    rng: np.random.Generator, leaf: tuple[float, float, float], contrast: float
) -> Mipmap:
    """A clipped hedge seen from the side, uint8 (48, 256, 3)."""
    noise = cloud_noise(rng, 256, octaves=5, coarse=16)[:48]
    height = np.linspace(0.35, -0.45, 48, dtype=np.float32)[:, None]
    tone = 1 + contrast * (0.35 * noise + height)
    return Mipmap(np.clip(np.asarray(leaf) * tone[..., None], 0, 255).astype(np.uint8))


def fence_texture(
    rng: np.random.Generator, wood: tuple[float, float, float], boards: bool
) -> Mipmap:
    """A fence seen from the side, uint8 (64, 320, 3): standing boards, or lying rails."""
    picture = np.empty((64, 320, 3), np.float32)
    picture[:] = wood
    if boards:
        for x in range(0, 320, 10):
            picture[:, x : x + 10] *= rng.uniform(0.88, 1.1)
            picture[:, x : x + 2] *= 0.55
        picture[12:16] *= 0.8
        picture[48:52] *= 0.8
    else:
        for y in (0, 16, 32, 48):
            picture[y : y + 4] *= 1.12
            picture[y + 10 : y + 16] *= 0.5
        for x in range(0, 320, 80):
            picture[:, x : x + 8] = np.asarray(wood) * 0.8
    return Mipmap(np.clip(picture, 0, 255).astype(np.uint8))
