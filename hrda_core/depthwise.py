"""Dilated depthwise convolutions on a CPU, as sums of shifted images.

torch's own kernels for them are made for small dilations: with maps in memory pixel by pixel and
a dilation of 12 or 18, they take 8 to 13 times as long as with 6 (torch 2.14). In bfloat16 their
weight gradients are wrong now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Window = tuple[slice, slice]


def dilated_depthwise(
    maps: Tensor, weight: Tensor, dilation: int, bias: Tensor | None = None
) -> Tensor:
    """Depthwise 3x3 convolution that keeps the size of the maps, on a CPU.

    Args:
        maps: the input.
        weight: one kernel per channel.
        dilation: distance of the kernel's places [cells].
        bias: one value per channel; it has no gradient here.

    Shape:
        maps: (B, C, H, W); weight: (C, 1, 3, 3); bias: (C,); result: (B, C, H, W), channels last,
        in float32, or without gradients in bfloat16 if the maps are.
    """
    if maps.dtype == torch.bfloat16 and not torch.is_grad_enabled():
        return _convolve_bfloat16(maps, weight, dilation, bias)
    summand = None if bias is None else bias.float()
    result: Tensor = _DilatedDepthwise.apply(maps.float(), weight.float(), dilation, summand)
    return result


def _convolve_bfloat16(maps: Tensor, weight: Tensor, dilation: int, bias: Tensor | None) -> Tensor:
    # oneDNN's kernel is fast for any dilation, but not for wide borders at left and right.
    pixels = F.pad(maps.permute(0, 2, 3, 1), (0, 0, dilation, dilation))
    summand = None if bias is None else bias.to(maps.dtype)
    return F.conv2d(
        pixels.permute(0, 3, 1, 2),
        weight.to(maps.dtype),
        summand,
        padding=(dilation, 0),
        dilation=dilation,
        groups=maps.shape[1],
    )


class _DilatedDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, dilation: int, bias: Tensor | None
    ) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(maps, weight)
        ctx.dilation = dilation
        return _convolve(maps, weight, dilation, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        outer = gradients[0].contiguous(memory_format=torch.channels_last)
        inner = _convolve(outer, weight.flip(2, 3), ctx.dilation)
        return inner, _weight_gradient(maps, outer, ctx.dilation), None, None


def _taps(height: int, width: int, dilation: int) -> Iterator[tuple[int, int, Window, Window]]:
    """The places of the kernel that meet the image: row, column, where to, where from."""
    for row in range(3):
        for column in range(3):
            y, x = (row - 1) * dilation, (column - 1) * dilation
            if abs(y) < height and abs(x) < width:
                target = _overlap(height, -y), _overlap(width, -x)
                yield row, column, target, (_overlap(height, y), _overlap(width, x))


def _overlap(size: int, shift: int) -> slice:
    return slice(max(0, shift), size + min(0, shift))


def _convolve(maps: Tensor, weight: Tensor, dilation: int, bias: Tensor | None = None) -> Tensor:
    pixels = maps.permute(0, 2, 3, 1)
    result = torch.empty_like(pixels)
    kernel = weight[:, 0].permute(1, 2, 0).contiguous()
    # Image by image, each of which may fit into the processor's cache.
    for image, sums in zip(pixels, result, strict=True):
        if bias is None:
            torch.mul(image, kernel[1, 1], out=sums)
        else:
            torch.addcmul(bias, image, kernel[1, 1], out=sums)
        for row, column, target, origin in _taps(image.shape[0], image.shape[1], dilation):
            if (row, column) != (1, 1):
                sums[target].addcmul_(image[origin], kernel[row, column])
    return result.permute(0, 3, 1, 2)


def _weight_gradient(maps: Tensor, outer: Tensor, dilation: int) -> Tensor:
    gradient = maps.new_zeros(3, 3, maps.shape[1])
    pairs = zip(maps.permute(0, 2, 3, 1), outer.permute(0, 2, 3, 1), strict=True)
    for image, pull in pairs:
        for row, column, target, origin in _taps(image.shape[0], image.shape[1], dilation):
            gradient[row, column] += (image[origin] * pull[target]).sum(dim=(0, 1))
    return gradient.permute(2, 0, 1)[:, None]
