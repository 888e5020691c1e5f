"""Self-training: a slow teacher labels the camera's frames, the student learns from mixtures."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from training.data.batch_transforms import (
    JitterDraw,
    colour_jitter,
    draw_blur,
    draw_jitter,
    gaussian_blur,
)
from training.methods.class_mix import Chosen, draw_classes, mix, mix_mask
from training.methods.losses import feature_distance
from training.methods.settings import SelfTrainingSettings
from training.methods.source_only import SupervisedLoss, draw_box, figures
from training.methods.teacher import PseudoLabels, Teacher
from training.randomness import Stream, step_generator
from training.run.panels import paint_all
from training.run.processes import ALONE, Processes
from training.run.share import WHOLE, Share

if TYPE_CHECKING:
    import numpy as np

    from hrda_core.hrda import HRDA
    from hrda_core.windows import Box
    from training.methods import Backward, Batch

NO_FEATURE_DISTANCE = (
    'feature distance is off: the encoder starts without pretrained weights, so there are no '
    'features to stay close to'
)


@dataclass(frozen=True)
class StepDraws:
    """Everything random in one self-training step.

    Attributes:
        source_box: detail box of the source images; None without a second resolution.
        mix_box: detail box of the mixed images.
        classes: for each image the source labels (255 too) whose pixels are pasted.
        jitter: colour jitter of the mixed images, None for none.
        blur: standard deviation of the blur of each mixed image [px], None for none.
    """

    source_box: Box | None
    mix_box: Box | None
    classes: Chosen
    jitter: JitterDraw | None = None
    blur: tuple[float, ...] | None = None


def draw_colours(
    settings: SelfTrainingSettings,
    count: int,
    generator: np.random.Generator,
    share: Share = WHOLE,
) -> tuple[JitterDraw | None, tuple[float, ...] | None]:
    """Jitter and blur of `count` images, each with its probability, else None (spec 3.5)."""
    jitter = blur = None
    total, slots = share.total(count), share.slots(count)
    if generator.uniform() < settings.jitter_probability:
        jitter = draw_jitter(total, settings.jitter_strength, generator).of(slots)
    if generator.uniform() < settings.blur_probability:
        blur = draw_blur(total, settings.blur_sigma, generator)[slots.start : slots.stop]
    return jitter, blur


def recolour(
    network: HRDA, images: Tensor, jitter: JitterDraw | None, blur: tuple[float, ...] | None
) -> Tensor:
    """Drawn colour jitter, then drawn blur, of images (B, 3, H, W) that the network normalised."""
    if jitter is not None:
        coloured = colour_jitter(network.denormalise(images), jitter)
        images = network.normalise(coloured * 255)
    return images if blur is None else gaussian_blur(images, blur)


@dataclass(frozen=True)
class Mixture:
    """Mixed images and what they are worth.

    Attributes:
        images: normalised, (B, 3, H, W).
        labels: uint8 (B, H, W), source labels and pseudo labels.
        weights: float (B, H, W), 1 on source pixels, the pseudo labels' weight elsewhere.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor


class SelfTraining:
    """Source loss, feature distance and mixed loss of one student (HRDA spec 3).

    The sum of the three is published as three backward passes; the first two are one here.

    A step in several shares has the same images, boxes and colours as one of a large batch, and
    as gradients the mean over the shares. What looks at several images at once sees those of one
    share: batch norms, and ClassMix's choice with scope 'batch'. The quality of the pseudo labels
    and the number of cells that the feature distance is averaged over are those of the shares
    that all processes work on at the same time.

    Attributes:
        student: the trained network.
        teacher: its slow average, which labels the target images.
        feature_encoder: the frozen starting encoder of the feature distance, or None.
        notes: sentences about choices made by itself.
        settings: of the method.
        supervised: the composite loss.
        seed: base of all draws.
        shown: what the panels of the last step show, by name.
    """

    def __init__(
        self,
        student: HRDA,
        settings: SelfTrainingSettings,
        *,
        seed: int,
        pretrained_encoder: bool,
    ) -> None:
        self.student = student
        self.settings = settings
        self.teacher = Teacher(student, settings.ema_alpha)
        self.feature_encoder: nn.Module | None = None
        self.notes: tuple[str, ...] = ()
        if settings.feature_distance_weight > 0 and student.classes.thing_ids:
            if pretrained_encoder:
                self.feature_encoder = copy.deepcopy(student.encoder).eval().requires_grad_(False)
            else:
                self.notes = (NO_FEATURE_DISTANCE,)
        self.supervised = SupervisedLoss(settings, student.architecture)
        self.seed = seed
        self.shown: dict[str, Tensor] = {}

    def draw(self, images: Tensor, labels: Tensor, step: int, share: Share = WHOLE) -> StepDraws:
        """Draw what is random at a step.

        Shape:
            images: (B, 3, H, W) context crops; labels: uint8 (B, H, W) source labels.
        """
        s, count = self.settings, len(images)
        generator = step_generator(self.seed, Stream.METHOD, step)
        source_box = draw_box(self.student.architecture, images, generator)
        mix_box = draw_box(self.student.architecture, images, generator)
        jitter, blur = draw_colours(s, count, generator, share)
        classes: Chosen = ((),) * count
        if s.class_mix:
            own = [
                step_generator(self.seed, Stream.CLASSES, step, slot)
                for slot in share.slots(count)
            ]
            classes = draw_classes(labels, own, s.class_mix_scope)
        return StepDraws(source_box, mix_box, classes, jitter, blur)

    def step(
        self,
        batch: Batch,
        step: int,
        backward: Backward,
        share: Share = WHOLE,
        draws: StepDraws | None = None,
    ) -> dict[str, Tensor]:
        """One step, see `Method.step`; `draws` replaces what `draw` would give.

        Returns:
            source_*, feature_distance and mix_* (weighted losses), their sum 'loss', and
            'pseudo_quality', the share of confident target pixels.
        """
        self.student.train()
        if share.begins_step:
            self.teacher.update(self.student, step)
        source, target = batch['source'], batch['target']
        images = self.student.normalise(source['image'])
        labels = source['label'].to(images.device)
        if draws is None:
            draws = self.draw(images, labels, step, share)

        losses = self._source_losses(images, labels, draws.source_box, share)
        backward(torch.stack(list(losses.values())).sum())

        target_images = self.student.normalise(target['image'])
        valid = target['valid'].to(images.device)
        pseudo = self.teacher.label(
            target_images, valid, self.settings.pseudo_threshold, share.processes.average
        )
        mixture = self.mix(images, labels, target_images, pseudo, draws)
        output = self.student(mixture.images, draws.mix_box)
        parts = self.supervised(output, mixture.labels, draws.mix_box, mixture.weights)
        backward(torch.stack(list(parts.values())).sum())

        losses |= {f'mix_{name}': loss for name, loss in parts.items()}
        losses |= self.target_losses(target_images, pseudo, step, backward, share)
        self._remember(source, target, mixture, pseudo)
        return {**figures(losses), 'pseudo_quality': pseudo.quality}

    def target_losses(
        self,
        images: Tensor,
        pseudo: PseudoLabels,
        step: int,
        backward: Backward,
        share: Share = WHOLE,
    ) -> dict[str, Tensor]:
        """Further losses on the target images, for methods that build on this one; here none.

        Args:
            images: normalised (B, 3, H, W).
            pseudo: what the teacher says about them.
            step: 0-based number of the step.
            backward: see `Method.step`.
            share: see `Method.step`.
        """
        return {}

    def _source_losses(
        self, images: Tensor, labels: Tensor, box: Box | None, share: Share
    ) -> dict[str, Tensor]:
        output = self.student(images, box)
        parts = self.supervised(output, labels, box)
        losses = {f'source_{name}': loss for name, loss in parts.items()}
        if self.feature_encoder is not None:
            seen = self.student.shrink(images)
            distance = self._feature_distance(output.features, seen, labels, share)
            # Where both crops are of one size, both resolutions stay close (spec 3.6).
            if box is not None and output.detail_features is not None and self._both_resolutions:
                seen = self.student.cut_detail(images, box)
                inside = labels[:, box.y1 : box.y2, box.x1 : box.x2]
                features = output.detail_features
                distance = distance + self._feature_distance(features, seen, inside, share)
            losses['feature_distance'] = distance
        return losses

    @property
    def _both_resolutions(self) -> bool:
        architecture = self.student.architecture
        return architecture.context_size == architecture.detail_size

    def _feature_distance(
        self,
        features: Sequence[Tensor],
        seen: Tensor,
        labels: Tensor,
        share: Share = WHOLE,
    ) -> Tensor:
        assert self.feature_encoder is not None
        with torch.no_grad():
            reference = self.feature_encoder(seen)[-1]
        distance = feature_distance(
            features[-1],
            reference,
            labels,
            thing_ids=self.student.classes.thing_ids,
            min_ratio=self.settings.feature_distance_min_ratio,
            classes=len(self.student.classes),
            average=share.processes.average,
        )
        return self.settings.feature_distance_weight * distance

    @torch.no_grad()
    def mix(
        self,
        source_images: Tensor,
        source_labels: Tensor,
        target_images: Tensor,
        pseudo: PseudoLabels,
        draws: StepDraws,
    ) -> Mixture:
        """Paste the drawn classes into the target images and change their colours.

        Shape:
            images: normalised (B, 3, H, W); source_labels: uint8 (B, H, W).
        """
        mask = mix_mask(source_labels, draws.classes)
        images = mix(mask, source_images, target_images)
        images = recolour(self.student, images, draws.jitter, draws.blur)
        labels = mix(mask, source_labels, pseudo.labels)
        return Mixture(images, labels, mix(mask, torch.ones_like(pseudo.weights), pseudo.weights))

    def _remember(
        self,
        source: Mapping[str, Any],
        target: Mapping[str, Any],
        mixture: Mixture,
        pseudo: PseudoLabels,
    ) -> None:
        # Clones, so that one picture does not keep a whole batch in memory.
        self.shown |= {
            'source': source['image'][0],
            'source_label': source['label'][0],
            'target': target['image'][0],
            'mix': self.student.denormalise(mixture.images[:1])[0].mul(255),
            'mix_label': mixture.labels[0].clone(),
            'pseudo_label': pseudo.labels[0].clone(),
            'pseudo_weight': pseudo.weights[0].clone(),
        }

    def finish_step(self, step: int, processes: Processes = ALONE) -> None:
        """Nothing: the run's optimiser moves all there is."""

    def panels(self) -> dict[str, np.ndarray]:
        """Pictures of the last step's first images, name to uint8 (H, W, 3) RGB."""
        return paint_all(self.shown, self.student.classes)

    def state_dict(self) -> dict[str, Any]:
        """Student, teacher and, where there is one, the encoder of the feature distance.

        The published code does not save how far the teacher is, and copies it from the student
        anew when a run is resumed; here it goes on (HRDA spec 3.2).
        """
        state = {
            'student': self.student.state_dict(),
            'teacher': self.teacher.model.state_dict(),
            'teacher_updates': self.teacher.updates,
        }
        if self.feature_encoder is not None:
            state['feature_encoder'] = self.feature_encoder.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            ValueError: the state was saved with the feature distance on and this method has
                it off, or the other way round.
        """
        saved = 'feature_encoder' in state
        if saved != (self.feature_encoder is not None):
            raise ValueError(
                f'the saved state has the feature distance {"on" if saved else "off"}, these '
                f'settings have it {"off" if saved else "on"}; set '
                'self_training.feature_distance_weight as it was'
            )
        self.student.load_state_dict(state['student'])
        self.teacher.model.load_state_dict(state['teacher'])
        self.teacher.updates = int(state.get('teacher_updates', 0))
        if self.feature_encoder is not None:
            self.feature_encoder.load_state_dict(state['feature_encoder'])

    def to(self, device: torch.device | str) -> SelfTraining:
        """Move all networks; returns itself."""
        self.student.to(device)
        self.teacher.model.to(device)
        if self.feature_encoder is not None:
            self.feature_encoder.to(device)
        return self
