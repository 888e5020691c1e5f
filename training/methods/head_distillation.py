"""Distillation of the head alone: the student shares all else with its teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hrda_core.heads import resize
from training.methods.distillation import Distillation, agreement
from training.methods.losses import inside
from training.methods.self_training import draw_colours, recolour
from training.methods.source_only import draw_box, figures
from training.randomness import Stream, step_generator
from training.run.share import WHOLE, Share

if TYPE_CHECKING:
    import numpy as np

    from hrda_core.hrda import HRDA
    from training.methods import Backward, Batch
    from training.methods.settings import DistillationSettings, SelfTrainingSettings

SHARED = ('encoder', 'attention_head')
"""Parts of the network that student and teacher have in common."""


class HeadDistillation(Distillation):
    """The student's head learns to say of features what the teacher's head says of them.

    Encoder and attention are the teacher's and stay as they are, batch norms included. Both heads
    see the same features of the same images with changed colours, in both resolutions, so that
    nothing but the head tells them apart; and no window goes through the encoder twice, nor a
    gradient back through it, so that a step takes a fraction of the time.

    Raises:
        ValueError: the teacher cannot be used, or the student has another encoder or attention.
    """

    def __init__(
        self,
        student: HRDA,
        settings: SelfTrainingSettings,
        distillation: DistillationSettings,
        *,
        seed: int,
    ) -> None:
        super().__init__(student, settings, distillation, seed=seed)
        for name in SHARED:
            self._share(name)

    def _share(self, name: str) -> None:
        own, given = getattr(self.student, name), getattr(self.tutor, name)
        try:
            if given is not None:
                own.load_state_dict(given.state_dict())
                own.requires_grad_(False)
        except (AttributeError, RuntimeError) as error:
            raise ValueError(
                f'distillation.head_only: the student has another {name} than the teacher '
                f'{self._distillation.teacher}; give it the same model.*, but for the head'
            ) from error

    def step(
        self, batch: Batch, step: int, backward: Backward, share: Share = WHOLE
    ) -> dict[str, Tensor]:
        """One step, see `Method.step`.

        Returns:
            source_* (where there is a source), distilled_context and, with a second resolution,
            distilled_detail, their sum 'loss', and 'teacher_agreement', the share of head cells
            on which the student says what the teacher says, 0..1.
        """
        self.student.eval()
        self.student.head.train()
        generator = step_generator(self._seed, Stream.METHOD, step)
        losses = {}
        if 'source' in batch:
            losses = self._source_losses(batch['source'], generator, backward)
        agreements = []
        for name, images, valid in self._views(batch, generator, share):
            with torch.no_grad():
                features = self.student.encoder(images)
                taught = self.tutor.head(features)
                counted = resize(valid[:, None], (taught.shape[-2], taught.shape[-1]))[:, 0]
                lesson = self._lesson(taught, counted)
            logits = self.student.head(features)
            loss = self._pixel_loss(lesson, logits, None)
            backward(loss)
            losses[f'distilled_{name}'] = loss
            agreements.append(agreement(logits.detach(), lesson))
        return {**figures(losses), 'teacher_agreement': torch.stack(agreements).mean()}

    @torch.no_grad()
    def _views(
        self, batch: Batch, generator: np.random.Generator, share: Share
    ) -> list[tuple[str, Tensor, Tensor]]:
        """What the encoder sees of the target images, by resolution, and what counts of it.

        Shape:
            normalised (B, 3, h, w); float (B, h', w') of the same area, 0 where nothing counts.
        """
        target = batch['target']
        images = self.student.normalise(target['image'])
        valid = target['valid'].to(images.device).float()
        box = draw_box(self.student.architecture, images, generator)
        colours = draw_colours(self._settings, len(images), generator, share)
        images = recolour(self.student, images, *colours)
        views = [('context', self.student.shrink(images), valid)]
        if box is not None:
            views.append(('detail', self.student.cut_detail(images, box), inside(valid, box)))
        self._remember(target['image'], images)
        return views
