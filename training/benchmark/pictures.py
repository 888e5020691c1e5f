"""Images to measure on: made up, or from a folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from hrda_core.classes import Uint8Array
from training.image_files import list_images, read_image, spread

SHAPES = 60
TEXTURES = 4


def photograph(generator: np.random.Generator, size: tuple[int, int]) -> Uint8Array:
    """A smooth picture with a little noise, uint8 (H, W, 3); size is (width, height) [px]."""
    coarse = generator.integers(0, 256, (9, 16, 3), np.uint8)
    smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = generator.integers(-3, 4, smooth.shape, np.int16)
    return np.asarray(np.clip(smooth + noise, 0, 255), np.uint8)


def made_up_image(seed: int, size: tuple[int, int]) -> Uint8Array:
    """A picture of many sharp-edged things, most of them small, with a few textures.

    Args:
        seed: of all choices.
        size: (width, height) [px].

    Returns:
        uint8 (H, W, 3) RGB.
    """
    generator = np.random.default_rng(seed)
    image, *textures = [photograph(generator, size) for _ in range(1 + TEXTURES)]
    for number in range(SHAPES):
        shape = np.zeros(image.shape[:2], np.uint8)
        extent = min(size) * 0.5 ** generator.uniform(1, 6)
        centre = generator.uniform((0, 0), size)
        corners = centre + generator.normal(0, extent, (int(generator.integers(3, 7)), 2))
        cv2.fillPoly(shape, [corners.astype(np.int32)], 1)
        image[shape > 0] = textures[number % TEXTURES][shape > 0]
    return image


def images_to_measure(folder: str | None, count: int, size: tuple[int, int]) -> list[Uint8Array]:
    """So many images of one size, uint8 (H, W, 3) RGB.

    Args:
        folder: whose images are taken, evenly spread, and resized; None makes them up.
        count: fewer come from a folder that holds fewer.
        size: (width, height) [px].

    Raises:
        ValueError: the folder holds no image, or one cannot be read.
    """
    if folder is None:
        return [made_up_image(seed, size) for seed in range(count)]
    files = list_images(Path(folder), 'name a folder of images with --images')
    taken = [read_image(file) for file in spread(files, count)]
    return [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)) for image in taken]
