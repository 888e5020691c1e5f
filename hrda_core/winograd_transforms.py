"""The transforms of Winograd's F(4x4, 3x3), on maps that are in memory pixel by pixel.

Each is a small matrix that acts along rows and then along columns, written out as sums of whole
images. The points are 0, +-sqrt(1/2), +-sqrt(2) and infinity. With 0, +-1 and +-2, as published
(Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016), rounding errors in
float32 are larger; with these they are those of torch's convolution of such maps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

TILE, PATCH = 4, 6
"""Side of a tile of the result, and of the patch of pixels that it depends on."""
NEAR, FAR = math.sqrt(0.5), math.sqrt(2.0)
NEAR2, FAR2, BOTH2 = 0.5, 2.0, 2.5


def transform_weight(weight: Tensor) -> Tensor:
    """Bring the weight of a 3x3 convolution into the space of the 36 products.

    Shape:
        (K, C, 3, 3) to (36, K, C).
    """
    products = weight.new_empty(PATCH**2, weight.shape[0] * weight.shape[1])
    torch.mm(_from_kernel(weight), weight.reshape(-1, 9).t(), out=products)
    return products.view(PATCH**2, *weight.shape[:2])


def weight_gradient(products: Tensor) -> Tensor:
    """The adjoint of `transform_weight`: (36, K, C) to (K, C, 3, 3)."""
    flat = _from_kernel(products).t() @ products.flatten(1)
    return flat.view(3, 3, *products.shape[1:]).permute(2, 3, 0, 1).contiguous()


def _from_kernel(like: Tensor) -> Tensor:
    """The matrix (36, 9) from the places of a kernel to the products."""
    rows = [[1.0, 0.0, 0.0]]
    for point, other in ((NEAR, FAR2), (-NEAR, FAR2), (FAR, NEAR2), (-FAR, NEAR2)):
        scale = 2 * point**2 * (point**2 - other)
        rows.append([1 / scale, point / scale, point**2 / scale])
    along = torch.tensor([*rows, [0.0, 0.0, 1.0]], dtype=torch.float64)
    return torch.kron(along, along).to(like.dtype)


def transform_patches(strip: Tensor, patches: Tensor) -> None:
    """Bring patches of 6x6 pixels, four apart, into the space of the 36 products.

    Shape:
        strip: (N, 4 R + 2, 4 T + 2, C); patches, which are written: (6, 6, N, R, T, C).
    """
    rows = strip.new_empty(PATCH, *patches.shape[2:4], *strip.shape[2:])
    _to_points(_every_fourth(strip, 1), list(rows))
    _to_points(_every_fourth(rows, 3), list(patches.unbind(1)))


def add_patches(patches: Tensor, strip: Tensor) -> None:
    """The adjoint of `transform_patches`: adds to the strip; overwrites the patches."""
    rows = strip.new_zeros(PATCH, *patches.shape[2:4], *strip.shape[2:])
    _add_from_points(list(patches.unbind(1)), _every_fourth(rows, 3))
    _add_from_points(list(rows), _every_fourth(strip, 1))


def to_tiles(products: Tensor, tiles: Tensor) -> None:
    """Bring products back to tiles of 4x4 pixels.

    Shape:
        products: (6, 6, N, R, T, C), which are overwritten; tiles, which are written:
        (N, R, 4, T, 4, C).
    """
    rows = tiles.new_empty(TILE, *products.shape[1:])
    _to_pixels(list(products), list(rows))
    _to_pixels(list(rows.unbind(1)), [tile.movedim(2, 0) for tile in tiles.unbind(4)])


def from_tiles(tiles: Tensor, products: Tensor) -> None:
    """The adjoint of `to_tiles`: (N, R, 4, T, 4, C) to products (6, 6, N, R, T, C)."""
    rows = tiles.new_empty(PATCH, *tiles.shape[:2], *tiles.shape[3:])
    _from_pixels(list(tiles.unbind(2)), list(rows))
    _from_pixels(list(rows.unbind(4)), list(products.unbind(1)))


def _every_fourth(maps: Tensor, axis: int) -> list[Tensor]:
    """The pixels that come first in the patches along an axis, those that come second, ..."""
    count = maps.shape[axis] // TILE
    return [
        maps.narrow(axis, place, maps.shape[axis] - place)[
            (slice(None),) * axis + (slice(None, None, TILE),)
        ].narrow(axis, 0, count)
        for place in range(PATCH)
    ]


def _to_points(pixels: Sequence[Tensor], points: Sequence[Tensor]) -> None:
    odd = torch.empty_like(points[0])
    for first, point, other2 in ((1, NEAR, FAR2), (3, FAR, NEAR2)):
        torch.sub(pixels[3], pixels[1], alpha=other2, out=odd)
        torch.sub(pixels[4], pixels[2], alpha=other2, out=points[first])
        torch.sub(points[first], odd, alpha=point, out=points[first + 1])
        points[first].add_(odd, alpha=point)
    for first in (0, 5):
        place = first % 4
        torch.add(pixels[place], pixels[place + 4], out=points[first])
        points[first].sub_(pixels[place + 2], alpha=BOTH2)


def _add_from_points(points: Sequence[Tensor], pixels: Sequence[Tensor]) -> None:
    for first, point, other2 in ((1, NEAR, FAR2), (3, FAR, NEAR2)):
        odd = torch.sub(points[first], points[first + 1])
        even = points[first].add_(points[first + 1])
        pixels[3].add_(odd, alpha=point)
        pixels[1].sub_(odd, alpha=point * other2)
        pixels[4].add_(even)
        pixels[2].sub_(even, alpha=other2)
    for first in (0, 5):
        place = first % 4
        pixels[place].add_(points[first])
        pixels[place + 4].add_(points[first])
        pixels[place + 2].sub_(points[first], alpha=BOTH2)


def _to_pixels(points: Sequence[Tensor], pixels: Sequence[Tensor]) -> None:
    near = torch.sub(points[1], points[2])
    far = torch.sub(points[3], points[4])
    torch.mul(near, NEAR, out=pixels[1]).add_(far, alpha=FAR)
    torch.add(points[5], near, alpha=NEAR**3, out=pixels[3]).add_(far, alpha=FAR**3)
    torch.add(points[1], points[2], out=near)
    torch.add(points[3], points[4], out=far)
    torch.mul(near, NEAR2, out=pixels[2]).add_(far, alpha=FAR2)
    torch.add(points[0], near, out=pixels[0]).add_(far)


def _from_pixels(pixels: Sequence[Tensor], points: Sequence[Tensor]) -> None:
    points[0].copy_(pixels[0])
    points[5].copy_(pixels[3])
    for first, point, point2 in ((1, NEAR, NEAR2), (3, FAR, FAR2)):
        odd = torch.add(pixels[1], pixels[3], alpha=point2)
        torch.add(pixels[0], pixels[2], alpha=point2, out=points[first])
        torch.sub(points[first], odd, alpha=point, out=points[first + 1])
        points[first].add_(odd, alpha=point)
