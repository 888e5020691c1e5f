"""Losses: cross entropy over all pixels, the HRDA composite, and the feature distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from hrda_core.classes import IGNORE
from hrda_core.heads import resize
from hrda_core.runtime import without_autocast

if TYPE_CHECKING:
    from hrda_core.hrda import TrainingOutput
    from hrda_core.windows import Box


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy at label size, averaged over all pixels (HRDA spec 2.2).

    Ignored pixels (255) and pixels of weight 0 count in the divisor, so that an image with few
    labels weighs little; averaging over labelled pixels alone is a different loss.

    Shape:
        logits: (B, C, h, w), resized bilinearly to (H, W).
        labels: uint8 or int64 (B, H, W), 0..C-1 or 255.
        weights: float (B, H, W) or None.
        result: scalar, float32.
    """
    loss: Tensor = _ResizedCrossEntropy.apply(logits, labels, weights)
    return loss


class _ResizedCrossEntropy(torch.autograd.Function):
    """Image by image, and the gradient together with the loss.

    What a backward pass would need at full size is then used up at once, and the gradient kept
    instead is as small as the logits: at crops of 1024 px, stride 4 and 19 classes, 5 MB per
    image in place of 240 MB.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        losses: list[Tensor] = []
        gradients: list[Tensor] = []
        learns = ctx.needs_input_grad[0]
        with without_autocast(logits.device):
            for i in range(len(labels)):
                small = logits[i : i + 1].detach().float().requires_grad_(learns)
                weight = None if weights is None else weights[i : i + 1]
                with torch.set_grad_enabled(learns):
                    loss = _summed_cross_entropy(small, labels[i : i + 1], weight)
                if learns:
                    gradients += torch.autograd.grad(loss, small)
                losses.append(loss.detach())
        if gradients:
            ctx.save_for_backward(torch.cat(gradients).div_(labels.numel()))
        ctx.dtype = logits.dtype
        return torch.stack(losses).sum() / labels.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return (kept * gradients[0]).to(ctx.dtype), None, None


def _summed_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    enlarged = resize(logits, (labels.shape[-2], labels.shape[-1]))
    if weights is None:
        return F.cross_entropy(enlarged, labels.long(), ignore_index=IGNORE, reduction='sum')
    loss = F.cross_entropy(enlarged, labels.long(), ignore_index=IGNORE, reduction='none')
    return (loss * weights).sum()


PixelLoss = Callable[[Tensor, 'Box | None'], Tensor]
"""Logits and the box of the crop that they show (None: all of it) to a scalar loss."""


def composite_parts(
    output: TrainingOutput,
    box: Box | None,
    loss: PixelLoss,
    *,
    detail_weight: float,
    context_weight: float,
) -> dict[str, Tensor]:
    """The weighted parts 'fused', 'detail' and 'context' of any loss (HRDA spec 2.2).

    The parts add up to the loss. The context part, if any, looks at the context logits that the
    attention has already weighted down, as published. A network without a second resolution
    has the part 'fused' alone, with weight 1.
    """
    if box is None or output.detail is None or output.weighted_context is None:
        return {'fused': loss(output.fused, None)}
    parts = {'fused': (1 - detail_weight - context_weight) * loss(output.fused, None)}
    if detail_weight > 0:
        parts['detail'] = detail_weight * loss(output.detail, box)
    if context_weight > 0:
        parts['context'] = context_weight * loss(output.weighted_context, None)
    return parts


def inside(maps: Tensor, box: Box | None) -> Tensor:
    """Maps (..., H, W) cut to a box; all of them for None."""
    return maps if box is None else maps[..., box.y1 : box.y2, box.x1 : box.x2]


def composite_loss(
    output: TrainingOutput,
    labels: Tensor,
    box: Box | None,
    weights: Tensor | None = None,
    *,
    detail_weight: float,
    context_weight: float,
) -> dict[str, Tensor]:
    """The HRDA loss as its weighted parts, see `composite_parts`.

    Shape:
        labels: uint8 (B, H, W); weights: float (B, H, W) or None; both of the context crop.
        box: the detail crop in pixels of the context crop; None without a second resolution.
    """

    def loss(logits: Tensor, area: Box | None) -> Tensor:
        worth = None if weights is None else inside(weights, area)
        return cross_entropy(logits, inside(labels, area), worth)

    return composite_parts(
        output, box, loss, detail_weight=detail_weight, context_weight=context_weight
    )


def distillation_loss(
    logits: Tensor, probabilities: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Divergence (KL) of a student from given probabilities, averaged over all pixels.

    Times the square of the temperature, so that gradients keep their size whatever it is
    (Hinton et al., 2015). 0 where the student agrees exactly.

    Shape:
        logits: (B, C, h, w), resized bilinearly to (H, W).
        probabilities: float (B, C, H, W), softmax at the same temperature.
        weights: float (B, H, W); pixels of weight 0 count in the divisor.
        result: scalar, float32.
    """
    logits = resize(logits.float(), (weights.shape[-2], weights.shape[-1]))
    found = F.log_softmax(logits / temperature, dim=1)
    divergence = F.kl_div(found, probabilities, reduction='none').sum(dim=1)
    return temperature**2 * (divergence * weights).mean()


def majority_labels(
    labels: Tensor, size: tuple[int, int], min_ratio: float, classes: int
) -> Tensor:
    """Class of each cell where one class covers at least `min_ratio` of it, else 255.

    Cells are blocks of (H // h, W // w) pixels from the top left corner; ignored pixels count
    as a class of their own (HRDA spec 3.6).

    Shape:
        labels: uint8 or int64 (B, H, W), 0..classes-1 or 255.
        result: int64 (B, h, w) for size = (h, w).

    Raises:
        ValueError: the labels are smaller than the grid of cells.
    """
    batch, height, width = labels.shape
    rows, columns = height // size[0], width // size[1]
    if rows < 1 or columns < 1:
        raise ValueError(f'labels of {height}x{width} px are smaller than {size} feature cells')
    blocks = labels[:, : size[0] * rows, : size[1] * columns].long()
    blocks = torch.where(blocks == IGNORE, classes, blocks)
    blocks = blocks.reshape(batch, size[0], rows, size[1], columns).transpose(2, 3).flatten(3)
    counts = torch.zeros(*blocks.shape[:3], classes + 1, device=labels.device)
    counts.scatter_add_(3, blocks, torch.ones((), device=labels.device).expand(blocks.shape))
    ratio, winner = (counts / (rows * columns)).max(dim=3)
    return torch.where((ratio >= min_ratio) & (winner < classes), winner, IGNORE)


def feature_distance(
    features: Tensor,
    reference: Tensor,
    labels: Tensor,
    *,
    thing_ids: Sequence[int],
    min_ratio: float,
    classes: int,
    average: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Mean Euclidean distance of two feature maps on cells that hold a thing (HRDA spec 3.6).

    Where no cell holds a thing the result is 0 with zero gradients; the published code logs
    NaN there. With `average`, which gives the mean of a scalar over processes, the mean of their
    results is the mean over the cells of all of them.

    Shape:
        features, reference: (B, D, h, w); labels: uint8 (B, H, W) train ids.
        result: scalar, float32, without the loss weight.
    """
    size = (features.shape[-2], features.shape[-1])
    cells = majority_labels(labels, size, min_ratio, classes)
    things = torch.tensor(list(thing_ids), dtype=torch.int64, device=labels.device)
    mask = torch.isin(cells, things)
    distance = torch.linalg.vector_norm(features.float() - reference.float(), dim=1)
    count = mask.sum()
    if average is not None:
        count = average(count.float())
    # A mean over processes can lie below 1; where it is 0, so is the sum.
    return torch.where(mask, distance, 0).sum() / torch.where(count > 0, count, 1)
