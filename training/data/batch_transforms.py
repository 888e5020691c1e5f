"""Colour jitter and blur of mixed images, on whole batches and on their device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, pi
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.runtime import without_autocast

JitterOperation = Literal['brightness', 'contrast', 'saturation', 'hue']
OPERATIONS: tuple[JitterOperation, ...] = ('brightness', 'contrast', 'saturation', 'hue')


@dataclass(frozen=True)
class JitterDraw:
    """One draw of colour jitter: a factor per image and operation, one order for all.

    Attributes:
        brightness: added to the image as factor - 1.
        contrast: multiplies the image.
        saturation: multiplies the HSV saturation.
        hue: shift in turns (1.0 = once around the colour circle).
        order: in which the operations follow each other.
    """

    brightness: tuple[float, ...]
    contrast: tuple[float, ...]
    saturation: tuple[float, ...]
    hue: tuple[float, ...]
    order: tuple[JitterOperation, ...] = OPERATIONS

    def of(self, images: range) -> JitterDraw:
        """The draw of some of the images."""
        factors = {name: tuple(getattr(self, name)[i] for i in images) for name in OPERATIONS}
        return JitterDraw(**factors, order=self.order)


def draw_jitter(batch: int, strength: float, generator: np.random.Generator) -> JitterDraw:
    """Draw factors from 1 ± strength (hue: ± strength turns) and a random order."""
    low, high = 1 - strength, 1 + strength
    return JitterDraw(
        brightness=tuple(generator.uniform(low, high, batch).tolist()),
        contrast=tuple(generator.uniform(low, high, batch).tolist()),
        saturation=tuple(generator.uniform(low, high, batch).tolist()),
        hue=tuple(generator.uniform(-strength, strength, batch).tolist()),
        order=tuple(OPERATIONS[i] for i in generator.permutation(len(OPERATIONS))),
    )


def colour_jitter(images: Tensor, draw: JitterDraw) -> Tensor:
    """Apply drawn brightness, contrast, saturation and hue changes (HRDA spec 3.5).

    Brightness is additive and contrast a plain product, both clamped to 0..1.

    Shape:
        images: float (B, 3, H, W) RGB in 0..1, as the result.
    """
    for operation in draw.order:
        factors = images.new_tensor(getattr(draw, operation))[:, None, None, None]
        if operation == 'brightness':
            images = (images + (factors - 1)).clamp(0, 1)
        elif operation == 'contrast':
            images = (images * factors).clamp(0, 1)
        else:
            hue, saturation, value = rgb_to_hsv(images).split(1, dim=1)
            if operation == 'saturation':
                saturation = (saturation * factors).clamp(0, 1)
            else:
                hue = torch.fmod(hue + 2 * pi * factors, 2 * pi)
            images = hsv_to_rgb(torch.cat([hue, saturation, value], dim=1))
    return images


def rgb_to_hsv(images: Tensor) -> Tensor:
    """Hue in 0..2 pi, saturation in 0..1 (chroma / (value + 1e-6)), value in 0..1.

    Shape:
        images: float (B, 3, H, W) RGB in 0..1; result: (B, 3, H, W). Grey has hue 0.
    """
    red, green, blue = images.unbind(1)
    value, largest = images.max(dim=1)
    chroma = value - images.min(dim=1).values
    divisor = torch.where(chroma == 0, 1, chroma)
    # Hue in sixths of the circle, measured from the largest channel's own third.
    sixths = torch.where(largest == 0, green - blue, blue - red)
    sixths = torch.where(largest == 2, red - green, sixths) / divisor + 2 * largest
    hue = torch.remainder(sixths / 6, 1) * (2 * pi)
    return torch.stack([hue, chroma / (value + 1e-6), value], dim=1)


def hsv_to_rgb(images: Tensor) -> Tensor:
    """The inverse of `rgb_to_hsv`; hues outside 0..2 pi wrap around.

    Shape:
        images: (B, 3, H, W) hue, saturation, value; result: RGB (B, 3, H, W).
    """
    hue, saturation, value = images.unbind(1)
    sixths = hue * (3 / pi)
    channels = []
    for offset in (5, 3, 1):
        position = torch.remainder(sixths + offset, 6)
        fall = torch.minimum(position, 4 - position).clamp(0, 1)
        channels.append(value - value * saturation * fall)
    return torch.stack(channels, dim=1)


def blur_kernel_size(size: int) -> int:
    """Side of the blur kernel for an image side: about a tenth, odd (51 for 512) [px]."""
    tenth = ceil(0.1 * size)
    return floor(tenth - 0.5 + tenth % 2)


def draw_blur(
    batch: int, sigma: tuple[float, float], generator: np.random.Generator
) -> tuple[float, ...]:
    """Standard deviations [px], one per image, uniform between the two given."""
    return tuple(generator.uniform(*sigma, batch).tolist())


def gaussian_blur(images: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Blur every image with its own standard deviation, reflecting at the border (spec 3.5).

    Shape:
        images: float (B, C, H, W), any range; sigmas: B standard deviations [px].
        result: (B, C, H, W).
    """
    batch, channels, height, width = images.shape
    # All images as channels of one, so that each can have its own kernel.
    flat = images.reshape(1, batch * channels, height, width)
    for axis, size in ((2, height), (3, width)):
        kernel = _gaussian_kernel(size, sigmas).to(images).repeat_interleave(channels, dim=0)
        radius = kernel.shape[1] // 2
        padding = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        weight = kernel[:, None, :, None] if axis == 2 else kernel[:, None, None, :]
        padded = F.pad(flat, padding, mode='reflect')
        with without_autocast(images.device):
            flat = F.conv2d(padded, weight, groups=batch * channels)
    return flat.reshape(images.shape)


def _gaussian_kernel(size: int, sigmas: Sequence[float]) -> Tensor:
    """Normalised kernels (B, K); what lies beyond 7 sigma is below float32 and left away."""
    radius = min(blur_kernel_size(size) // 2, ceil(7 * max(sigmas)))
    distance = torch.arange(-radius, radius + 1, dtype=torch.float64)
    sigma = torch.tensor(list(sigmas), dtype=torch.float64)[:, None]
    kernel = torch.exp(-(distance**2) / (2 * sigma**2))
    return kernel / kernel.sum(dim=1, keepdim=True)
