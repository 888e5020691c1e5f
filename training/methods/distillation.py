"""Distillation: a small student learns what a big, frozen network says of camera frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from hrda_core.batch_logits import batch_logits
from hrda_core.checkpoints import describe_model, load_model
from hrda_core.heads import resize
from training.methods.losses import cross_entropy, distillation_loss, inside
from training.methods.self_training import draw_colours, recolour
from training.methods.source_only import SupervisedLoss, draw_box, figures
from training.randomness import Stream, step_generator
from training.run.panels import paint_all
from training.run.processes import ALONE, Processes
from training.run.share import WHOLE, Share
from training.whole_files import sha256_of

if TYPE_CHECKING:
    import numpy as np

    from hrda_core.classes import ClassSet
    from hrda_core.hrda import HRDA
    from hrda_core.windows import Box
    from training.methods import Backward, Batch
    from training.methods.settings import DistillationSettings, SelfTrainingSettings


class Lesson(NamedTuple):
    """What the tutor says of target images.

    Attributes:
        probabilities: float32 (B, C, H, W), softmax at the temperature.
        labels: uint8 (B, H, W), the most probable class.
        weights: float32 (B, H, W), 0 in margins and padding.
    """

    probabilities: Tensor
    labels: Tensor
    weights: Tensor


def check_teacher(distillation: DistillationSettings, classes: ClassSet) -> None:
    """Refuse a teacher that cannot be used, without a look at its weights.

    Args:
        distillation: names its file.
        classes: what the student tells apart.

    Raises:
        ValueError: it is missing, truncated or no checkpoint, or tells other classes apart.
    """
    path = Path(distillation.teacher or '')
    _check_classes(path, describe_model(path).classes, classes)


def _check_classes(path: Path, taught: ClassSet, classes: ClassSet) -> None:
    if taught.names != classes.names:
        raise ValueError(
            f'the teacher {path} tells other classes apart ({taught.name}: '
            f'{", ".join(taught.names)}) than the setting classes says'
        )


class Distillation:
    """The student's predictions on camera frames are drawn towards those of a frozen network.

    The tutor sees the frame as it is, through the windows of its own architecture and in eval
    mode; the student sees it with changed colours, in its training form. Where there is a
    labelled source, the student learns from that as well.

    Attributes:
        student: the trained network.
        tutor: the frozen network. It is no part of the saved state, which keeps the hash of its
            file instead.
        notes: a sentence about the tutor.
        metadata: what the student's checkpoints say of where it comes from.

    Raises:
        ValueError: the teacher's file cannot be used, or it tells other classes apart.
    """

    def __init__(
        self,
        student: HRDA,
        settings: SelfTrainingSettings,
        distillation: DistillationSettings,
        *,
        seed: int,
    ) -> None:
        path = Path(distillation.teacher or '')
        self.student, self.tutor = student, load_model(path).requires_grad_(False)
        _check_classes(path, self.tutor.classes, student.classes)
        self._settings, self._distillation, self._seed = settings, distillation, seed
        self._loss = SupervisedLoss(settings, student.architecture)
        self._sha256 = sha256_of(path)
        self.metadata = _origin(self.tutor, path, self._sha256)
        self.notes: tuple[str, ...] = (
            f'learning from {path}: {self.tutor.architecture.encoder}, trained for '
            f'{self.tutor.step} steps',
        )
        self._last: dict[str, Tensor] = {}

    def step(
        self, batch: Batch, step: int, backward: Backward, share: Share = WHOLE
    ) -> dict[str, Tensor]:
        """One step, see `Method.step`.

        Returns:
            source_* (where there is a source) and distilled_* (weighted losses), their sum
            'loss', and 'teacher_agreement', the share of pixels outside margins and padding on
            which the student says what the teacher says, 0..1.
        """
        self.student.train()
        generator = step_generator(self._seed, Stream.METHOD, step)
        losses = {}
        if 'source' in batch:
            losses = self._source_losses(batch['source'], generator, backward)
        target = batch['target']
        images = self.student.normalise(target['image'])
        lesson = self.lesson(target['image'], target['valid'].to(images.device))
        box = draw_box(self.student.architecture, images, generator)
        colours = draw_colours(self._settings, len(images), generator, share)
        with torch.no_grad():
            images = recolour(self.student, images, *colours)
        output = self.student(images, box)
        parts = self._loss.parts(output, box, lambda *seen: self._pixel_loss(lesson, *seen))
        backward(torch.stack(list(parts.values())).sum())
        losses |= {f'distilled_{name}': loss for name, loss in parts.items()}
        self._remember(target['image'], images)
        self._last['teacher_label'] = lesson.labels[0].clone()
        return {**figures(losses), 'teacher_agreement': agreement(output.fused.detach(), lesson)}

    def _source_losses(
        self, source: Mapping[str, Any], generator: np.random.Generator, backward: Backward
    ) -> dict[str, Tensor]:
        images = self.student.normalise(source['image'])
        box = draw_box(self.student.architecture, images, generator)
        labels = source['label'].to(images.device)
        parts = self._loss(self.student(images, box), labels, box)
        weight = self._distillation.source_weight
        losses = {f'source_{name}': weight * loss for name, loss in parts.items()}
        backward(torch.stack(list(losses.values())).sum())
        return losses

    @torch.no_grad()
    def lesson(self, images: Tensor, valid: Tensor) -> Lesson:
        """What the tutor says of images.

        Shape:
            images: RGB of 0..255 (B, 3, H, W); valid: (B, H, W), 0 where nothing counts, else 1.
        """
        size = (images.shape[-2], images.shape[-1])
        seen, scale = self.tutor.normalise(images), self._distillation.teacher_scale
        seen = resize(seen, (round(size[0] * scale), round(size[1] * scale)))
        return self._lesson(resize(batch_logits(self.tutor, seen), size), valid)

    def _lesson(self, logits: Tensor, valid: Tensor) -> Lesson:
        """What the tutor's logits (B, C, H, W) say; valid (B, H, W) is 0 where nothing counts."""
        confidence, labels = logits.softmax(dim=1).max(dim=1)
        weights = valid.float()
        if self._distillation.confidence_weighting:
            weights = weights * confidence
        probabilities = (logits / self._distillation.temperature).softmax(dim=1)
        return Lesson(probabilities, labels.to(torch.uint8), weights)

    def _pixel_loss(self, lesson: Lesson, logits: Tensor, area: Box | None) -> Tensor:
        """Soft and hard loss of logits that show a box of the crop, or all of it."""
        settings, weights = self._distillation, inside(lesson.weights, area)
        loss = logits.new_zeros((), dtype=torch.float32)
        if settings.hard_weight < 1:
            probabilities = inside(lesson.probabilities, area)
            soft = distillation_loss(logits, probabilities, weights, settings.temperature)
            loss = loss + (1 - settings.hard_weight) * soft
        if settings.hard_weight > 0:
            hard = cross_entropy(logits, inside(lesson.labels, area), weights)
            loss = loss + settings.hard_weight * hard
        return loss

    def _remember(self, images: Tensor, seen: Tensor) -> None:
        self._last = {
            'target': images[0],
            'target_recoloured': self.student.denormalise(seen[:1])[0].mul(255),
        }

    def finish_step(self, step: int, processes: Processes = ALONE) -> None:
        """Nothing: the run's optimiser moves all there is."""

    def panels(self) -> dict[str, np.ndarray]:
        """Pictures of the last step's first images, name to uint8 (H, W, 3) RGB."""
        return paint_all(self._last, self.student.classes)

    def state_dict(self) -> dict[str, Any]:
        """The student, and which file its teacher is."""
        return {'student': self.student.state_dict(), 'teacher_sha256': self._sha256}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            ValueError: the student was taught by another teacher.
        """
        if state['teacher_sha256'] != self._sha256:
            raise ValueError(
                f'distillation.teacher {self._distillation.teacher} is another file than the '
                'teacher of the steps so far; name that one, or start a new run'
            )
        self.student.load_state_dict(state['student'])

    def to(self, device: torch.device | str) -> Distillation:
        """Move both networks; returns itself."""
        self.student.to(device)
        self.tutor.to(device)
        return self


def agreement(logits: Tensor, lesson: Lesson) -> Tensor:
    """The share of counted pixels, 0..1, on which logits (B, C, h, w) say what a lesson says."""
    size = (lesson.labels.shape[-2], lesson.labels.shape[-1])
    counted = lesson.weights > 0
    same = (resize(logits.float(), size).argmax(dim=1) == lesson.labels) & counted
    return same.sum() / counted.sum().clamp(min=1)


def _origin(tutor: HRDA, path: Path, sha256: str) -> dict[str, str]:
    """Metadata on the teacher; its licence holds for what was learnt from it, too."""
    origin = {
        'teacher': path.name,
        'teacher_sha256': sha256,
        'teacher_encoder': tutor.architecture.encoder,
        'teacher_step': str(tutor.step),
    }
    if 'licence' in tutor.metadata:
        origin['licence'] = tutor.metadata['licence']
    return origin
