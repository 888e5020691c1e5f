"""The teacher: a slow average of the student that labels the target images."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from hrda_core.hrda import HRDA


class PseudoLabels(NamedTuple):
    """What the teacher says about target images.

    Attributes:
        labels: uint8 (B, H, W), the most probable class of every pixel.
        weights: float32 (B, H, W), `quality` everywhere, 0 in the margins.
        quality: scalar, share of confident pixels of the whole batch, 0..1.
    """

    labels: Tensor
    weights: Tensor
    quality: Tensor


def ema_alpha(step: int, alpha: float) -> float:
    """How much of the teacher stays at a 0-based step: 0, 1/2, 2/3, ... up to `alpha`."""
    return min(1 - 1 / (step + 1), alpha)


def pseudo_labels(
    logits: Tensor,
    valid: Tensor,
    threshold: float,
    average: Callable[[Tensor], Tensor] | None = None,
) -> PseudoLabels:
    """Labels and weights from the teacher's logits (HRDA spec 3.3).

    One quality weight for the whole batch: the share of all pixels, margins included, whose
    greatest probability is at least `threshold`. `average`, where given, makes of it the mean
    over processes.

    Shape:
        logits: (B, C, H, W); valid: (B, H, W), 0 where labels must not count, else 1.
    """
    # Image by image: probabilities of all classes at full size are large.
    best = [torch.softmax(image.float(), dim=1).max(dim=1) for image in logits.split(1)]
    probability, labels = (torch.cat(parts) for parts in zip(*best, strict=True))
    quality = (probability >= threshold).float().mean()
    if average is not None:
        quality = average(quality)
    return PseudoLabels(labels.to(torch.uint8), quality * valid.float(), quality)


class Teacher:
    """Exponential moving average of a student (HRDA spec 3.2).

    Only parameters are averaged. Batch norms use the statistics of the batch at hand (the
    module stays in train mode), while dropout and drop path are off.

    Attributes:
        model: the averaged network; its parameters need no gradients.
        updates: how many steps it has taken in; one that is repeated is not taken in twice.
    """

    def __init__(self, student: HRDA, alpha: float) -> None:
        self.model: HRDA = copy.deepcopy(student).requires_grad_(False)
        self._alpha = alpha
        self.updates = 0
        set_teacher_mode(self.model)

    @torch.no_grad()
    def update(self, student: HRDA, step: int) -> None:
        """Take in the student as it is at the start of a step; step 0 copies it."""
        if step < self.updates:
            return
        self.updates = step + 1
        weight = 1 - ema_alpha(step, self._alpha)
        averages: list[Tensor] = list(self.model.parameters())
        currents: list[Tensor] = list(student.parameters())
        torch._foreach_lerp_(averages, currents, weight)

    @torch.no_grad()
    def label(
        self,
        images: Tensor,
        valid: Tensor,
        threshold: float,
        average: Callable[[Tensor], Tensor] | None = None,
    ) -> PseudoLabels:
        """Label normalised target images.

        Shape:
            images: (B, 3, H, W); valid: (B, H, W), see `pseudo_labels`.
        """
        set_teacher_mode(self.model)
        return pseudo_labels(self.model.predict(images), valid, threshold, average)


def set_teacher_mode(model: nn.Module) -> None:
    """Batch statistics in batch norms, no dropout, no drop path."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) or _is_drop_path(module):
            module.eval()


def _is_drop_path(module: nn.Module) -> bool:
    return type(module).__name__ == 'DropPath'
