"""Settings of the training methods; importing them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SelfTrainingSettings:
    """Self-training with HRDA; source-only training uses the two loss weights alone.

    The defaults are the published final configuration (HRDA, GTA5 to Cityscapes).
    """

    detail_loss_weight: float = 0.1
    """Share of the loss on the detail logits alone, 0..1; the fused logits get the rest."""
    context_loss_weight: float | None = None
    """Share of the loss on the weighted context logits; null = 0, or detail_loss_weight where
    context crop and detail crop have the same size."""

    ema_alpha: float = 0.999
    """How much of the teacher stays at each step, 0..1; it warms up from 0 as 1 - 1 / (t + 1)."""
    pseudo_threshold: float = 0.968
    """The share of target pixels at least this confident (0..1) weights all pseudo labels."""

    class_mix: bool = True
    """Paste half of the source classes into the target image; false = target image alone."""
    class_mix_scope: Literal['batch', 'image'] = 'batch'
    """Draw the pasted classes from those of the whole batch (published) or of each image."""
    jitter_probability: float = 0.8
    """Probability of colour jitter on the mixed images of a step, 0..1."""
    jitter_strength: float = 0.2
    """Greatest change of brightness, contrast and saturation, and of hue in turns, 0..0.5."""
    blur_probability: float = 0.5
    """Probability of Gaussian blur on the mixed images of a step, 0..1."""
    blur_sigma: tuple[float, float] = (0.15, 1.15)
    """Smallest and greatest standard deviation of the blur [px], drawn per image."""

    feature_distance_weight: float = 0.005
    """Pull of the encoder towards its pretrained features on things; 0 = off. Off also where
    the encoder starts from random weights, since there is nothing to keep then."""
    feature_distance_min_ratio: float = 0.75
    """Share of one class in a feature cell, 0..1, from which on the cell counts as that class."""

    rare_class_sampling: bool = True
    """Draw source frames by rare classes instead of uniformly."""
    source_only_rare_class_sampling: bool = False
    """The same where method is source_only, min_entropy or adversarial, which are published with
    uniform sampling, or distillation."""
    rare_class_temperature: float = 0.01
    """Smaller = rarer classes are drawn more often; greater = all classes alike."""
    rare_class_min_pixels: int = 3000
    """A frame stands for a class when it has more pixels [px of the stored label] of it."""
    rare_class_min_crop_ratio: float = 2.0
    """A crop is redrawn, up to 10 times, until it has more than rare_class_min_pixels times this
    of the drawn class. Made for crops of 1024x1024 px, where 3000 * 2.0 px are 0.6 % of the
    crop; 0.5 for 512x512. Scale it with the crop's area."""

    def __post_init__(self) -> None:
        """Check every value; raises ValueError with the name, the value and the valid range."""
        for name in _UNIT_RANGE:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} is {getattr(self, name)}, expected 0..1')
        if self.detail_loss_weight + (self.context_loss_weight or 0) > 1:
            raise ValueError(
                f'detail_loss_weight {self.detail_loss_weight} + context_loss_weight '
                f'{self.context_loss_weight} exceed 1, so that nothing is left for the fused loss'
            )
        if not 0 <= self.jitter_strength <= 0.5:
            raise ValueError(f'jitter_strength is {self.jitter_strength}, expected 0..0.5')
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ValueError(f'blur_sigma is {self.blur_sigma}, expected 0 < smallest <= greatest')
        if self.rare_class_temperature <= 0:
            raise ValueError(
                f'rare_class_temperature is {self.rare_class_temperature}, expected more than 0; '
                'rare_class_sampling=false switches the sampling off'
            )
        if self.feature_distance_weight < 0 or self.rare_class_min_crop_ratio < 0:
            raise ValueError(
                f'feature_distance_weight {self.feature_distance_weight} and '
                f'rare_class_min_crop_ratio {self.rare_class_min_crop_ratio} must not be negative'
            )


@dataclass(frozen=True)
class MaskedConsistencySettings:
    """Masked image consistency (MIC, Hoyer et al., CVPR 2023), on top of self-training."""

    block_size: int = 64
    """Side of the square blocks that are hidden [px of the context crop]."""
    ratio: float = 0.7
    """Probability of each block to be hidden, 0..1."""
    weight: float = 1.0
    """Weight of the loss on masked images, beside the source and the mixed loss."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.block_size < 1:
            raise ValueError(f'masked_consistency.block_size {self.block_size} must be at least 1')
        if not 0 <= self.ratio <= 1:
            raise ValueError(f'masked_consistency.ratio is {self.ratio}, expected 0..1')
        if not self.weight > 0:
            raise ValueError(
                f'masked_consistency.weight {self.weight} must be above 0; method self_training '
                'is the same without it'
            )


@dataclass(frozen=True)
class MinEntropySettings:
    """Entropy minimisation on target frames."""

    weight: float = 0.001
    """Weight of the mean normalised entropy (0..1) of the target predictions."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not self.weight > 0:
            raise ValueError(f'min_entropy.weight {self.weight} must be above 0')


@dataclass(frozen=True)
class AdversarialSettings:
    """Adversarial alignment of class probabilities with a least-squares discriminator."""

    weight: float = 0.001
    """Weight of the loss that lets target predictions pass as source predictions."""
    discriminator_lr: float = 1e-4
    """Learning rate of the discriminator (Adam) at the beginning of the run."""
    power: float = 0.9
    """Shape of the fall of that rate to 0 at the end of the run; 1 is a straight line."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ('weight', 'discriminator_lr', 'power'):
            if not getattr(self, name) > 0:
                raise ValueError(f'adversarial.{name} {getattr(self, name)} must be above 0')


@dataclass(frozen=True)
class DistillationSettings:
    """A small student learns what a trained teacher says of camera frames, without labels.

    Shares of detail and context loss, colour jitter and blur of the student's images are those
    of self_training; whether rare classes are sampled where there is a labelled source, too, is
    self_training.source_only_rare_class_sampling.
    """

    teacher: str | None = None
    """Checkpoint (.safetensors) of the teacher, with the same classes; `hrda distill` sets it."""
    teacher_scale: float = 1.0
    """Size at which the teacher sees a frame, divided by the student's: 2.0 where the student
    is to work on frames of half the size."""
    temperature: float = 1.0
    """Both predictions are softened by it: logits are divided by it; above 0."""
    hard_weight: float = 0.0
    """Share of the loss that is against the teacher's most probable class alone, 0..1; the rest
    is against all its probabilities."""
    confidence_weighting: bool = False
    """Weight every pixel by the teacher's greatest probability there."""
    source_weight: float = 1.0
    """Weight of the loss on labelled source frames, where source is not null."""
    head_only: bool = False
    """Take encoder and attention from the teacher as they are and teach the head alone what the
    teacher's head says of the same features; for another head on the same encoder."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 <= self.hard_weight <= 1:
            raise ValueError(f'distillation.hard_weight is {self.hard_weight}, expected 0..1')
        if not 0.1 <= self.teacher_scale <= 10:
            raise ValueError(f'distillation.teacher_scale {self.teacher_scale} is outside 0.1..10')
        if self.head_only and self.teacher_scale != 1:
            raise ValueError(
                f'distillation.teacher_scale is {self.teacher_scale} and head_only is true, where '
                'both heads see the same features; set teacher_scale to 1'
            )
        for name in ('temperature', 'source_weight'):
            if not getattr(self, name) > 0:
                raise ValueError(f'distillation.{name} {getattr(self, name)} must be above 0')


_UNIT_RANGE = (
    'detail_loss_weight',
    'ema_alpha',
    'pseudo_threshold',
    'jitter_probability',
    'blur_probability',
    'feature_distance_min_ratio',
)
