"""Training on labelled source frames alone: the baseline, and the first part of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hrda_core.windows import Box, detail_offsets
from training.methods.losses import PixelLoss, composite_loss, composite_parts
from training.randomness import Stream, step_generator
from training.run.panels import paint_all
from training.run.processes import ALONE, Processes
from training.run.share import WHOLE, Share

if TYPE_CHECKING:
    import numpy as np

    from hrda_core.architecture import Architecture
    from hrda_core.hrda import HRDA, TrainingOutput
    from training.methods import Backward, Batch
    from training.methods.settings import SelfTrainingSettings


def draw_box(
    architecture: Architecture, images: Tensor, generator: np.random.Generator
) -> Box | None:
    """One detail box for a whole batch of context crops (B, 3, H, W); None without details."""
    if not architecture.multi_resolution:
        return None
    size = architecture.detail_size
    height, width = images.shape[-2:]
    y = int(generator.choice(detail_offsets(height, size)))
    x = int(generator.choice(detail_offsets(width, size)))
    return Box(y, y + size, x, x + size)


class SupervisedLoss:
    """The composite loss with the weights that the settings mean for a network."""

    def __init__(self, settings: SelfTrainingSettings, architecture: Architecture) -> None:
        self._detail = settings.detail_loss_weight
        same_size = architecture.context_size == architecture.detail_size
        context = settings.context_loss_weight
        if context is None:
            context = self._detail if same_size else 0.0
        self._context = context

    def __call__(
        self,
        output: TrainingOutput,
        labels: Tensor,
        box: Box | None,
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Weighted parts of the loss against labels, see `composite_loss`."""
        return composite_loss(
            output,
            labels,
            box,
            weights,
            detail_weight=self._detail,
            context_weight=self._context,
        )

    def parts(self, output: TrainingOutput, box: Box | None, loss: PixelLoss) -> dict[str, Tensor]:
        """Weighted parts of another loss, see `composite_parts`."""
        return composite_parts(
            output, box, loss, detail_weight=self._detail, context_weight=self._context
        )


def figures(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Detached losses with their sum as 'loss'."""
    detached = {name: loss.detach() for name, loss in losses.items()}
    return {'loss': torch.stack(list(detached.values())).sum(), **detached}


class SourceOnly:
    """The composite loss on source images, and nothing else.

    Attributes:
        student: the trained network.
        notes: empty; there is nothing to choose.
    """

    def __init__(self, student: HRDA, settings: SelfTrainingSettings, *, seed: int) -> None:
        self.student = student
        self.notes: tuple[str, ...] = ()
        self._loss = SupervisedLoss(settings, student.architecture)
        self._seed = seed
        self._last: dict[str, Tensor] = {}

    def step(
        self,
        batch: Batch,
        step: int,
        backward: Backward,
        share: Share = WHOLE,
        box: Box | None = None,
    ) -> dict[str, Tensor]:
        """One step, see `Method.step`; `box` replaces the drawn detail box."""
        self.student.train()
        source = batch['source']
        images = self.student.normalise(source['image'])
        labels = source['label'].to(images.device)
        generator = step_generator(self._seed, Stream.METHOD, step)
        box = box or draw_box(self.student.architecture, images, generator)
        parts = self._loss(self.student(images, box), labels, box)
        losses = {f'source_{name}': loss for name, loss in parts.items()}
        backward(torch.stack(list(losses.values())).sum())
        self._last = {'source': source['image'][0], 'source_label': source['label'][0]}
        return figures(losses)

    def finish_step(self, step: int, processes: Processes = ALONE) -> None:
        """Nothing: the run's optimiser moves all there is."""

    def panels(self) -> dict[str, np.ndarray]:
        """Pictures of the last step's first image, name to uint8 (H, W, 3) RGB."""
        return paint_all(self._last, self.student.classes)

    def state_dict(self) -> dict[str, Any]:
        """The student."""
        return {'student': self.student.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.student.load_state_dict(state['student'])

    def to(self, device: torch.device | str) -> SourceOnly:
        """Move the student; returns itself."""
        self.student.to(device)
        return self
