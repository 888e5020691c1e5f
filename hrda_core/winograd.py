"""3x3 convolutions in float32 on a CPU with a quarter of the multiplications.

By Winograd's F(4x4, 3x3), see winograd_transforms.py: patches of 6x6 pixels become 36 numbers per
channel, in which the convolution is a product, so that all tiles and channels together are 36
products of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hrda_core.tracing import is_traced
from hrda_core.winograd_transforms import (
    PATCH,
    TILE,
    add_patches,
    from_tiles,
    to_tiles,
    transform_patches,
    transform_weight,
    weight_gradient,
)

MIN_CHANNELS, MIN_PIXELS = 64, 1024
"""With fewer channels on either side, or smaller maps, torch's convolution is as fast."""
_TILES = 128
"""At least so many go through at once: fewer slow the products down, more leave the caches."""


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution that keeps the size of the maps; its weights are those of `nn.Conv2d`.

    Large float32 maps on a CPU go through `convolve3x3`, all else through torch's convolution.

    Args:
        inputs: channels of the maps.
        outputs: channels of the result.
        bias: whether there is one.

    Shape:
        (B, inputs, H, W) to (B, outputs, H, W).
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        self._transformed: tuple[Tensor, Tensor] | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve the maps."""
        if not self._pays(maps):
            return super().forward(maps)
        if torch.is_grad_enabled():
            return convolve3x3(maps, self.weight, self.bias)
        return _convolve(maps, self._kept(), self.bias)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what copies can compute."""
        return self.__dict__ | {'_transformed': None}

    def _pays(self, maps: Tensor) -> bool:
        return (
            not is_traced()
            and maps.device.type == 'cpu'
            and maps.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled('cpu')
            and maps.ndim == 4
            and min(self.weight.shape[:2]) >= MIN_CHANNELS
            and len(maps) * maps.shape[2] * maps.shape[3] >= MIN_PIXELS
        )

    def _kept(self) -> Tensor:
        """The transformed weight, for as long as the weight has the same numbers.

        Comparing them all takes a hundredth of a convolution and is right whatever changed them.
        """
        weight = self.weight.detach()
        if self._transformed is None or not torch.equal(self._transformed[0], weight):
            self._transformed = weight.clone(), transform_weight(weight)
        return self._transformed[1]


def convolve3x3(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with stride 1 and padding 1; can be differentiated once.

    Shape:
        maps: (B, C, H, W); weight: (K, C, 3, 3); bias: (K,); result (B, K, H, W), channels last.
    """
    convolved: Tensor = _Convolution.apply(maps, weight, bias)
    return convolved


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # The patches are 2.25 times as large as the maps; they are made again when needed.
        ctx.save_for_backward(maps, weight)
        return _convolve(maps, transform_weight(weight), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        for_maps, for_weight, for_bias = ctx.needs_input_grad
        return (
            *_gradients(maps, weight, gradients[0], for_maps, for_weight),
            gradients[0].sum(dim=(0, 2, 3)) if for_bias else None,
        )


class _Group(NamedTuple):
    """Tiles that go through at once: some rows of tiles of some images.

    Attributes:
        images: of the batch.
        top: first row of pixels.
        rows: rows of tiles.
        columns: tiles per row.
    """

    images: slice
    top: int
    rows: int
    columns: int

    def products(self, like: Tensor, channels: int) -> Tensor:
        """Memory for (6, 6, images, rows, columns, channels)."""
        count = self.images.stop - self.images.start
        return like.new_empty(PATCH, PATCH, count, self.rows, self.columns, channels)

    def cut(self, pixels: Tensor, margin: int) -> Tensor:
        """The pixels under the tiles and around them, zero outside of the image.

        Shape:
            (B, H, W, C) to (images, 4 rows + 2 margin, 4 columns + 2 margin, C).
        """
        images = pixels[self.images]
        height, width = (TILE * n + 2 * margin for n in (self.rows, self.columns))
        strip = pixels.new_zeros(len(images), height, width, pixels.shape[3])
        first = max(0, self.top - margin)
        inside = images[:, first : self.top - margin + height]
        below = first - self.top + margin
        strip[:, below : below + inside.shape[1], margin : margin + images.shape[2]] = inside
        return strip


def _groups(maps: Tensor) -> Iterator[_Group]:
    rows, columns = (-(-side // TILE) for side in maps.shape[2:])
    rows_at_once = -(-_TILES // columns)
    images_at_once = max(1, rows_at_once // rows)
    for image in range(0, len(maps), images_at_once):
        images = slice(image, min(image + images_at_once, len(maps)))
        for row in range(0, rows, rows_at_once):
            yield _Group(images, row * TILE, min(rows_at_once, rows - row), columns)


def _convolve(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with a transformed weight (36, K, C)."""
    pixels, outputs = maps.permute(0, 2, 3, 1), weight.shape[1]
    result = pixels.new_empty(*pixels.shape[:3], outputs)
    for group in _groups(maps):
        patches = group.products(maps, pixels.shape[3])
        transform_patches(group.cut(pixels, 1), patches)
        products = group.products(maps, outputs)
        torch.bmm(_flat(patches), weight.transpose(1, 2), out=_flat(products))
        tiles = maps.new_empty(*products.shape[2:4], TILE, group.columns, TILE, outputs)
        to_tiles(products, tiles)
        if bias is not None:
            tiles += bias
        place = result[group.images, group.top : group.top + TILE * group.rows]
        strip = tiles.flatten(3, 4).flatten(1, 2)
        place.copy_(strip[:, : place.shape[1], : place.shape[2]])
    return result.permute(0, 3, 1, 2)


def _gradients(
    maps: Tensor, weight: Tensor, outer: Tensor, for_maps: bool, for_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The adjoint of `_convolve`, as far as it is asked for."""
    pixels, pull = maps.permute(0, 2, 3, 1), outer.permute(0, 2, 3, 1)
    transformed = transform_weight(weight) if for_maps else None
    # With the margin that patches have around the image.
    height, width = (-(-side // TILE) * TILE + 2 for side in maps.shape[2:])
    inner = maps.new_zeros(len(maps), height, width, maps.shape[1]) if for_maps else None
    summed = weight.new_zeros(PATCH**2, *weight.shape[:2]) if for_weight else None
    for group in _groups(maps):
        products = group.products(maps, weight.shape[0])
        from_tiles(_as_tiles(group.cut(pull, 0)), products)
        patches = group.products(maps, weight.shape[1])
        if summed is not None:
            transform_patches(group.cut(pixels, 1), patches)
            summed.baddbmm_(_flat(products).transpose(1, 2), _flat(patches))
        if inner is not None and transformed is not None:
            torch.bmm(_flat(products), transformed, out=_flat(patches))
            bottom = group.top + TILE * group.rows + 2
            add_patches(patches, inner[group.images, group.top : bottom])
    if inner is not None:
        inner = inner.permute(0, 3, 1, 2)[..., 1 : maps.shape[2] + 1, 1 : maps.shape[3] + 1]
    return inner, None if summed is None else weight_gradient(summed)


def _flat(products: Tensor) -> Tensor:
    """View (6, 6, N, R, T, C) as (36, N R T, C)."""
    return products.view(PATCH**2, -1, products.shape[-1])


def _as_tiles(strip: Tensor) -> Tensor:
    """View (N, 4 R, 4 T, C) as (N, R, 4, T, 4, C)."""
    count, height, width, channels = strip.shape
    return strip.view(count, height // TILE, TILE, width // TILE, TILE, channels)
