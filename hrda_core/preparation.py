"""Images on their way into the network: checked, uploaded, padded, and how many windows fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.classes import Uint8Array
from hrda_core.fitted_plan import FittedPlan
from hrda_core.hrda import HRDA
from hrda_core.runtime import Runtime
from hrda_core.windows import WindowPlan

SMALLEST_IMAGE = 16
LARGEST_IMAGE = 8192


def check_images(images: Sequence[Uint8Array]) -> None:
    """ValueError unless there are images, uint8 (H, W, 3), all of one usable size."""
    for image in images:
        _check_image(image)
    sizes = {f'{image.shape[1]}x{image.shape[0]}' for image in images}
    if len(sizes) != 1:
        raise ValueError(
            f'images of a batch must have one size, not {", ".join(sorted(sizes)) or "none"}; '
            'segment those of each size on their own'
        )


def _check_image(image: Uint8Array) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, 'dtype', type(image).__name__)
        raise ValueError(f'an image must be a uint8 numpy array of RGB, not {kind}')
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'an image must have shape (height, width, 3), not {image.shape}')
    check_size(*image.shape[:2])


def check_size(height: int, width: int) -> None:
    """ValueError for a size of images [px] that cannot be segmented."""
    if min(height, width) < SMALLEST_IMAGE or max(height, width) > LARGEST_IMAGE:
        raise ValueError(
            f'an image of {width}x{height} is outside {SMALLEST_IMAGE}..{LARGEST_IMAGE} px a side'
        )


def upload(images: Sequence[Uint8Array], device: torch.device) -> Tensor:
    """Images of one size, uint8 (H, W, 3) each, as float32 (B, 3, H, W) of 0..255."""
    parts = [_upload(image, device) for image in images]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _upload(image: Uint8Array, device: torch.device) -> Tensor:
    # torch warns of read-only memory, such as that of a message or a PIL image.
    pixels = torch.from_numpy(np.require(image, requirements=['C', 'W']))
    if device.type == 'cuda':
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    return pixels.permute(2, 0, 1)[None].float()


def padded(images: Tensor, plan: WindowPlan | FittedPlan) -> Tensor:
    """Fill up to the size of the plan; repeating the border invents no edge, unlike a constant."""
    padding = (0, plan.width - images.shape[-1], 0, plan.height - images.shape[-2])
    return F.pad(images, padding, mode='replicate')


def windows_at_once(
    plan: WindowPlan | FittedPlan, runtime: Runtime, model: HRDA, images: int = 1
) -> int:
    """How many windows of each of so many images may go through the network together."""
    box = plan.windows[0] if plan.windows else plan.contexts[0]
    a = model.architecture
    # The widest maps are those of the decoder: levels and branches side by side, some twice.
    values = 8 * (a.embed_channels + a.head_channels) / model.stride**2
    pixels = runtime.pixels_at_once(values * runtime.dtype.itemsize)
    return max(pixels // (box.height * box.width * images), 1)
