"""The textures of one look, drawn once and shared by all its streets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.demo.street.backdrop import Backdrop, make_backdrop
from training.demo.street.facades import Facade, make_facade
from training.demo.street.looks import Look
from training.demo.street.perspective import View
from training.demo.street.textures import (
    Mipmap,
    cloud_noise,
    fence_texture,
    hedge_texture,
    tree_sprite,
)

FACADES, TREES, BACKDROPS = 18, 9, 4


@dataclass(frozen=True)
class Materials:
    """Everything that is papered onto a street.

    Attributes:
        ground: float32 (512, 512, 2), mean 0: grain of road and of sidewalk; a cell is 1/16 m.
    """

    facades: tuple[Facade, ...]
    trees: tuple[Mipmap, ...]
    hedges: tuple[Mipmap, ...]
    fences: tuple[Mipmap, ...]
    backdrops: tuple[Backdrop, ...]
    ground: NDArray[np.float32]


@lru_cache(maxsize=4)
def make_materials(look: Look, view: View, seed: int = 7) -> Materials:
    """Draw the textures of a look; the same seed draws the same ones."""
    rng = np.random.default_rng([seed, *look.name.encode()])
    palette, surface = look.palette, look.surface
    leaves = [palette.leaves[i % len(palette.leaves)] for i in range(TREES)]
    shapes = [surface.trees[i % len(surface.trees)] for i in range(TREES)]
    return Materials(
        facades=tuple(make_facade(rng, look) for _ in range(FACADES)),
        trees=tuple(
            tree_sprite(rng, leaf, shape, surface.leaf_contrast, surface.leaf_density)
            for leaf, shape in zip(leaves, rng.permutation(shapes), strict=True)
        ),
        hedges=tuple(hedge_texture(rng, leaf, surface.leaf_contrast) for leaf in palette.leaves),
        fences=tuple(
            fence_texture(rng, wood, boards)
            for boards, wood in zip((True, False), palette.fence, strict=True)
        ),
        backdrops=tuple(make_backdrop(rng, look, view) for _ in range(BACKDROPS)),
        ground=_ground_tile(rng, look),
    )


def _ground_tile(rng: np.random.Generator, look: Look) -> NDArray[np.float32]:
    """Asphalt: fine grain on broad stains. Sidewalk: slabs of 0.5 m with joints."""
    surface = look.surface
    grain = rng.standard_normal((512, 512)).astype(np.float32)
    stains = cloud_noise(rng, 512, octaves=4, coarse=4)
    road = surface.road_grain * (0.7 * grain + (0.4 + 0.5 * surface.wear) * stains)
    shade = rng.normal(0, 0.6, (64, 64)).astype(np.float32).repeat(8, 0).repeat(8, 1)
    joints = np.zeros((512, 512), np.float32)
    joints[::8] = joints[:, ::8] = -2.2
    slabs = surface.slab_grain * (shade + joints + 0.5 * stains + 0.3 * grain)
    return np.stack([road, slabs], axis=-1)
