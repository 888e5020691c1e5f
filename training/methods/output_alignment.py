"""Methods that make predictions on the camera look like those on the simulator.

Both learn from labelled source frames, and from target frames through the class probabilities
of the fused prediction alone (HRDA spec 3.8): `MinEntropy` asks for decided ones, `Adversarial`
for ones that a discriminator cannot tell from the source's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrda_core.heads import resize
from hrda_core.runtime import without_autocast
from training.methods.source_only import SupervisedLoss, draw_box, figures
from training.randomness import Stream, step_generator
from training.run.panels import paint_all
from training.run.processes import ALONE, Processes
from training.run.share import WHOLE, Share

if TYPE_CHECKING:
    import numpy as np

    from hrda_core.hrda import HRDA, TrainingOutput
    from training.methods import Backward, Batch
    from training.methods.settings import (
        AdversarialSettings,
        MinEntropySettings,
        SelfTrainingSettings,
    )

SOURCE, TARGET = 0.0, 1.0
"""What the discriminator should say of either domain."""


def normalised_entropy(probabilities: Tensor) -> Tensor:
    """Mean entropy over pixels, 0 (decided) to 1 (all classes alike).

    Shape:
        probabilities: (B, C, h, w), sum over C is 1; result: scalar.
    """
    entropy = -(probabilities * torch.log2(probabilities + 1e-30)).sum(dim=1)
    return entropy.mean() / math.log2(probabilities.shape[1])


class _OutputAlignment:
    """The source loss, and what both methods do with target predictions.

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

    def _source_step(
        self, batch: Batch, generator: np.random.Generator, backward: Backward
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Losses on the source, and its class probabilities without gradients."""
        images = self.student.normalise(batch['source']['image'])
        labels = batch['source']['label'].to(images.device)
        box = draw_box(self.student.architecture, images, generator)
        output = self.student(images, box)
        losses = {f'source_{name}': x for name, x in self._loss(output, labels, box).items()}
        backward(torch.stack(list(losses.values())).sum())
        self._last |= {'source': batch['source']['image'][0], 'source_label': labels[0]}
        return losses, self._probabilities(output, images).detach()

    def _target_probabilities(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        images = self.student.normalise(batch['target']['image'])
        box = draw_box(self.student.architecture, images, generator)
        probabilities = self._probabilities(self.student(images, box), images)
        self._last |= {
            'target': batch['target']['image'][0],
            'target_prediction': probabilities[0].detach().argmax(dim=0).to(torch.uint8),
        }
        return probabilities

    def _probabilities(self, output: TrainingOutput, images: Tensor) -> Tensor:
        """Of the fused logits at half the size of the crop; full size with one resolution."""
        divisor = 2 if self.student.architecture.multi_resolution else 1
        height, width = (side // divisor for side in images.shape[-2:])
        return resize(output.fused.float(), (height, width)).softmax(dim=1)

    def finish_step(self, step: int, processes: Processes = ALONE) -> None:
        """Nothing: the run's optimiser moves all there is."""

    def panels(self) -> dict[str, np.ndarray]:
        """Pictures of the last step's first images, name to uint8 (H, W, 3) RGB."""
        return paint_all(self._last, self.student.classes)


class MinEntropy(_OutputAlignment):
    """Entropy minimisation: the student has to be decided about the target, too."""

    def __init__(
        self,
        student: HRDA,
        settings: SelfTrainingSettings,
        entropy: MinEntropySettings,
        *,
        seed: int,
    ) -> None:
        super().__init__(student, settings, seed=seed)
        self._weight = entropy.weight

    def step(
        self, batch: Batch, step: int, backward: Backward, share: Share = WHOLE
    ) -> dict[str, Tensor]:
        """One step, see `Method.step`; adds the loss 'entropy', weighted."""
        self.student.train()
        generator = step_generator(self._seed, Stream.METHOD, step)
        losses, _ = self._source_step(batch, generator, backward)
        entropy = normalised_entropy(self._target_probabilities(batch, generator))
        losses['entropy'] = self._weight * entropy
        backward(losses['entropy'])
        return figures(losses)

    def state_dict(self) -> dict[str, Any]:
        """The student."""
        return {'student': self.student.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.student.load_state_dict(state['student'])

    def to(self, device: torch.device | str) -> MinEntropy:
        """Move the student; returns itself."""
        self.student.to(device)
        return self


class Discriminator(nn.Sequential):
    """Five 4x4 convolutions of stride 2 that tell where class probabilities come from.

    Shape:
        (B, classes, h, w) to (B, 1, h / 32, w / 32), 0 for source and 1 for target.
    """

    WIDTHS = (64, 128, 256, 512)

    def __init__(self, classes: int) -> None:
        layers: list[nn.Module] = []
        inputs = classes
        for width in self.WIDTHS:
            layers += [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            inputs = width
        super().__init__(*layers, nn.Conv2d(inputs, 1, 4, 2, 1))


class Adversarial(_OutputAlignment):
    """Least-squares GAN on class probabilities: the student learns to pass as source.

    Attributes:
        discriminator: has its own optimiser, whose rate falls to 0 at the end of the run.
    """

    def __init__(
        self,
        student: HRDA,
        settings: SelfTrainingSettings,
        adversarial: AdversarialSettings,
        *,
        seed: int,
        iterations: int,
    ) -> None:
        super().__init__(student, settings, seed=seed)
        self._settings, self._iterations = adversarial, iterations
        self.discriminator = Discriminator(len(student.classes))
        self._optimiser = torch.optim.Adam(
            self.discriminator.parameters(), adversarial.discriminator_lr, (0.9, 0.99)
        )

    def step(
        self, batch: Batch, step: int, backward: Backward, share: Share = WHOLE
    ) -> dict[str, Tensor]:
        """One step, see `Method.step`; adds the weighted loss 'adversarial'.

        The figure 'discriminator' is that network's own loss, no part of the sum.
        """
        self.student.train()
        generator = step_generator(self._seed, Stream.METHOD, step)
        losses, source = self._source_step(batch, generator, backward)
        target = self._target_probabilities(batch, generator)
        self.discriminator.requires_grad_(False)
        losses['adversarial'] = self._settings.weight * self._distance(target, SOURCE)
        backward(losses['adversarial'])
        told_apart = self._teach_discriminator(source, target.detach(), step, share)
        return {**figures(losses), 'discriminator': told_apart}

    def _distance(self, probabilities: Tensor, label: float) -> Tensor:
        with without_autocast(probabilities.device):
            found = self.discriminator(probabilities)
            return F.mse_loss(found, torch.full_like(found, label))

    def _teach_discriminator(
        self, source: Tensor, target: Tensor, step: int, share: Share = WHOLE
    ) -> Tensor:
        self.discriminator.requires_grad_(True)
        if share.begins_step:
            self._optimiser.zero_grad()
        loss = self._distance(source, SOURCE) / 2 + self._distance(target, TARGET) / 2
        with without_autocast(source.device):
            (loss / share.parts).backward()
        return loss.detach()

    def finish_step(self, step: int, processes: Processes = ALONE) -> None:
        """Move the discriminator, at its rate of that step."""
        processes.average_gradients(self.discriminator.parameters())
        left = max(0.0, 1 - step / self._iterations)
        for group in self._optimiser.param_groups:
            group['lr'] = self._settings.discriminator_lr * left**self._settings.power
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Student, discriminator and the discriminator's optimiser."""
        return {
            'student': self.student.state_dict(),
            'discriminator': self.discriminator.state_dict(),
            'discriminator_optimiser': self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.student.load_state_dict(state['student'])
        self.discriminator.load_state_dict(state['discriminator'])
        self._optimiser.load_state_dict(state['discriminator_optimiser'])

    def to(self, device: torch.device | str) -> Adversarial:
        """Move both networks; returns itself."""
        self.student.to(device)
        self.discriminator.to(device)
        return self
