"""Training methods: one object per method owns its networks and takes one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from hrda_core.hrda import HRDA
    from training.run.processes import Processes
    from training.run.share import Share
    from training.settings.run import TrainSettings

    Batch = Mapping[str, Mapping[str, Any]]
    Backward = Callable[[Tensor], None]

MethodName = Literal[
    'source_only',
    'self_training',
    'masked_consistency',
    'min_entropy',
    'adversarial',
    'distillation',
]


class Method(Protocol):
    """What the training loop needs to know about a method.

    Attributes:
        student: the network whose parameters the optimiser holds and that is evaluated.
        notes: sentences about choices made by itself, to be shown once.
    """

    student: HRDA
    notes: tuple[str, ...]

    def step(
        self, batch: Batch, step: int, backward: Backward, share: Share = ...
    ) -> dict[str, Tensor]:
        """Compute the losses of one step and call `backward` on each; no optimiser here.

        Where a step's images come in several shares, this is called for one after the other.

        Args:
            batch: {'source': {'image' uint8 (B, 3, H, W), 'label' uint8 (B, H, W), ...},
                'target': {'image' uint8 (B, 3, H, W), 'valid' uint8 (B, H, W), ...}}.
            step: 0-based number of the step; all randomness of the method comes from it.
            backward: adds the gradients of a scalar loss to the parameters.
            share: which of the step's images the batch holds.

        Returns:
            Named losses and figures, detached scalars; 'loss' is their weighted sum.
        """
        ...

    def finish_step(self, step: int, processes: Processes = ...) -> None:
        """Move what the run's optimiser does not hold, alike in all processes.

        Called once at the end of a step, when all its losses are known to be finite.
        """
        ...

    def panels(self) -> dict[str, np.ndarray]:
        """Pictures of the last step's first images, name to uint8 (H, W, 3) RGB."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All networks of the method, complete."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        ...

    def to(self, device: torch.device | str) -> Method:
        """Move all networks; returns itself."""
        ...


def build_method(settings: TrainSettings, model: HRDA, *, pretrained_encoder: bool) -> Method:
    """Make the method that a configuration names.

    Args:
        settings: the method's name and settings, the seed of its draws, the run's length.
        model: the student, with its starting weights already loaded.
        pretrained_encoder: whether the encoder holds weights worth keeping (ImageNet, ...);
            without them the feature distance is switched off.

    Raises:
        ValueError: an unknown name, or a teacher that cannot be used.
    """
    losses, seed = settings.self_training, settings.loop.seed
    if settings.method == 'source_only':
        from training.methods.source_only import SourceOnly

        return SourceOnly(model, losses, seed=seed)
    if settings.method == 'self_training':
        from training.methods.self_training import SelfTraining

        return SelfTraining(model, losses, seed=seed, pretrained_encoder=pretrained_encoder)
    if settings.method == 'masked_consistency':
        from training.methods.masked_consistency import MaskedConsistency

        masking = settings.masked_consistency
        return MaskedConsistency(
            model, losses, masking, seed=seed, pretrained_encoder=pretrained_encoder
        )
    if settings.method == 'distillation':
        from training.methods.distillation import Distillation

        if settings.distillation.head_only:
            from training.methods.head_distillation import HeadDistillation

            return HeadDistillation(model, losses, settings.distillation, seed=seed)
        return Distillation(model, losses, settings.distillation, seed=seed)
    from training.methods.output_alignment import Adversarial, MinEntropy

    if settings.method == 'min_entropy':
        return MinEntropy(model, losses, settings.min_entropy, seed=seed)
    if settings.method == 'adversarial':
        iterations = settings.loop.iterations
        return Adversarial(model, losses, settings.adversarial, seed=seed, iterations=iterations)
    raise ValueError(
        f'no method {settings.method!r}: expected one of {", ".join(get_args(MethodName))}'
    )
