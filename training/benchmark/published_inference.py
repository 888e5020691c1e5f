"""Inference on one image in the published code's order of work, written out plainly.

Everything is float32 and eager (HRDA spec 2.3): context crops slide by half their size, every
crop has detail windows of its own, all crops and all windows go through the network in one batch
each, and logits, probabilities and labels are made at full size.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.classes import Uint8Array
from hrda_core.heads import DAFormerHead, ScaleAttentionHead
from hrda_core.hrda import HRDA
from hrda_core.windows import WindowPlan, padded_size, plan_windows, scaled_size
from training.benchmark.published_network import PublishedNetwork


class PublishedInference:
    """Segments images.

    Args:
        model: whose modules are used, on its device; set to eval mode.
        batch: most crops or windows at once, if all of them do not fit into memory.

    Raises:
        ValueError: the network is none that the published order of work is written out for.
    """

    def __init__(self, model: HRDA, batch: int | None = None) -> None:
        if not isinstance(model.attention_head, ScaleAttentionHead) or not isinstance(
            model.head, DAFormerHead
        ):
            raise ValueError(
                'the published order of work is written out for learnt attention and DAFormer '
                'heads alone; leave the contender published out'
            )
        self._model, self._batch = model.eval(), batch
        self._network = PublishedNetwork(model)

    @torch.inference_mode()
    def segment(self, image: Uint8Array) -> Uint8Array:
        """Train ids (H, W) of an image, uint8 (H, W, 3) RGB."""
        images, (height, width) = self._prepare(image)
        plan = published_plan(image.shape[0], image.shape[1], self._model)
        padding = (0, plan.width - width, 0, plan.height - height)
        logits = self._slide(F.pad(images, padding, mode='replicate'), plan)
        logits = logits[..., :height, :width]
        size = (image.shape[0], image.shape[1])
        logits = F.interpolate(logits, size=size, mode='bilinear', align_corners=False)
        labels: Uint8Array = logits.softmax(dim=1).argmax(dim=1)[0].cpu().numpy().astype(np.uint8)
        return labels

    def _prepare(self, image: Uint8Array) -> tuple[Tensor, tuple[int, int]]:
        """The normalised image at the scale of the network, and its rows and columns."""
        pixels = torch.from_numpy(np.require(image, requirements=['C', 'W']))
        images = pixels.to(self._model.mean.device).permute(2, 0, 1)[None].float()
        size = scaled_size(image.shape[0], image.shape[1], self._model.architecture)
        images = F.interpolate(images, size=size, mode='bilinear', align_corners=False)
        return self._model.normalise(images), size

    def _slide(self, images: Tensor, plan: WindowPlan) -> Tensor:
        """Mean logits (1, C, H, W) of all crops, summed and counted at full size."""
        boxes = plan.contexts
        crops = torch.cat([images[:, :, b.y1 : b.y2, b.x1 : b.x2] for b in boxes])
        logits = self._network.predict(crops, self._batch)
        total = images.new_zeros(1, logits.shape[1], *images.shape[2:])
        count = images.new_zeros(1, 1, *images.shape[2:])
        for box, part in zip(boxes, logits, strict=True):
            total[:, :, box.y1 : box.y2, box.x1 : box.x2] += part
            count[:, :, box.y1 : box.y2, box.x1 : box.x2] += 1
        return total / count


def published_plan(height: int, width: int, model: HRDA) -> WindowPlan:
    """The published plan of an image of so many rows and columns [px]."""
    architecture = model.architecture
    size = padded_size(*scaled_size(height, width, architecture), architecture)
    return plan_windows(*size, architecture)
