"""A self-training step in the published code's order of work, written out plainly.

Everything is float32 and eager, and the forward passes are those of published_network.py. Weights,
draws and results are this project's (HRDA spec 3.1 to 3.6):

* three backward passes; the source graph is kept for the second one, the feature distance, which
  goes through the context half of the encoder once more;
* logits enlarged to the size of the labels for the whole batch, and so are the losses;
* Gaussian blur as one square kernel of a tenth of the crop (103x103 at 1024 px), as the library
  that the published code uses did it then;
* teacher and optimiser move one tensor after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.classes import IGNORE
from hrda_core.hrda import HRDA
from training.benchmark.published_network import PublishedNetwork, write_out_attention
from training.data.batch_transforms import blur_kernel_size, colour_jitter
from training.methods.class_mix import mix, mix_mask
from training.methods.losses import feature_distance
from training.methods.self_training import SelfTraining, StepDraws
from training.methods.teacher import ema_alpha, set_teacher_mode
from training.run.optimiser import parameter_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hrda_core.hrda import TrainingOutput
    from hrda_core.windows import Box
    from training.methods import Batch
    from training.settings.run import OptimiserSettings


class PublishedStep:
    """Takes steps with the networks of a method, which it moves.

    Args:
        method: owner of student, teacher and feature encoder, and of all draws; on its device.
        optimiser: learning rates and weight decay of AdamW.
    """

    def __init__(self, method: SelfTraining, optimiser: OptimiserSettings) -> None:
        self._method, self._settings = method, method.settings
        self._student, self._teacher = method.student, method.teacher.model
        self._forward = PublishedNetwork(self._student).train_forward
        self._predict = PublishedNetwork(self._teacher).predict
        self._features = method.feature_encoder
        if self._features is not None:
            write_out_attention(self._features)
        groups = parameter_groups(self._student, optimiser)
        self._optimiser = torch.optim.AdamW(
            groups, betas=optimiser.betas, foreach=False, fused=False
        )

    def __call__(self, batch: Batch, step: int) -> dict[str, float]:
        """Take one step; returns its losses."""
        self._student.train()
        self._optimiser.zero_grad()
        self._average_teacher(step)
        device = self._student.mean.device
        images = self._student.normalise(batch['source']['image'])
        labels = batch['source']['label'].to(device)
        draws = self._method.draw(images, labels, step)

        assert draws.source_box is not None and draws.mix_box is not None
        output = self._forward(images, draws.source_box)
        source = self._composite(output, labels, draws.source_box, torch.ones_like(labels).float())
        source.backward(retain_graph=self._features is not None)
        losses = {'source': source.item()}
        if self._features is not None:
            distance = self._feature_distance(output, images, labels)
            distance.backward()
            losses['feature_distance'] = distance.item()

        targets = self._student.normalise(batch['target']['image'])
        pseudo, weights = self._label(targets, batch['target']['valid'].to(device))
        mask = mix_mask(labels, draws.classes)
        mixed = self._recolour(mix(mask, images, targets), draws)
        mixed_weights = mix(mask, torch.ones_like(weights), weights)
        output_mixed = self._forward(mixed, draws.mix_box)
        mixed_labels = mix(mask, labels, pseudo)
        loss = self._composite(output_mixed, mixed_labels, draws.mix_box, mixed_weights)
        loss.backward()
        self._optimiser.step()
        return losses | {'mix': loss.item()}

    @torch.no_grad()
    def _average_teacher(self, step: int) -> None:
        alpha = ema_alpha(step, self._settings.ema_alpha)
        pairs = zip(self._teacher.parameters(), self._student.parameters(), strict=True)
        for average, current in pairs:
            average.copy_(alpha * average + (1 - alpha) * current)

    def _composite(
        self, output: TrainingOutput, labels: Tensor, box: Box, weights: Tensor
    ) -> Tensor:
        assert output.detail is not None
        fused = _cross_entropy(output.fused, labels, weights)
        inside = (slice(None), slice(box.y1, box.y2), slice(box.x1, box.x2))
        share = self._settings.detail_loss_weight
        detail = _cross_entropy(output.detail, labels[inside], weights[inside])
        return (1 - share) * fused + share * detail

    def _feature_distance(self, output: TrainingOutput, images: Tensor, labels: Tensor) -> Tensor:
        assert self._features is not None
        with torch.no_grad():
            reference = self._features(self._student.shrink(images))
        distance = feature_distance(
            output.features[-1],
            reference[-1],
            labels,
            thing_ids=self._student.classes.thing_ids,
            min_ratio=self._settings.feature_distance_min_ratio,
            classes=len(self._student.classes),
        )
        return self._settings.feature_distance_weight * distance

    @torch.no_grad()
    def _label(self, images: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        set_teacher_mode(self._teacher)
        probabilities = torch.softmax(self._predict(images), dim=1)
        best, labels = torch.max(probabilities, dim=1)
        confident = best.ge(self._settings.pseudo_threshold)
        quality = confident.sum().item() / confident.numel()
        weights = quality * torch.ones_like(best) * valid
        return labels.to(torch.uint8), weights

    @torch.no_grad()
    def _recolour(self, images: Tensor, draws: StepDraws) -> Tensor:
        student: HRDA = self._student
        if draws.jitter is not None:
            coloured = colour_jitter(student.denormalise(images), draws.jitter)
            images = student.normalise(coloured * 255)
        return images if draws.blur is None else square_blur(images, draws.blur)


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    size = (labels.shape[-2], labels.shape[-1])
    enlarged = F.interpolate(logits, size=size, mode='bilinear', align_corners=False)
    loss = F.cross_entropy(enlarged, labels.long(), reduction='none', ignore_index=IGNORE)
    return (loss * weights).mean()


def square_blur(images: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Blur each image with one square kernel, reflecting at the border.

    Shape:
        images: (B, C, H, W), as the result; sigmas: one per image [px].
    """
    height, width = (blur_kernel_size(side) for side in images.shape[-2:])
    blurred = []
    for image, sigma in zip(images, sigmas, strict=True):
        rows, columns = (_gaussian(size, sigma).to(image) for size in (height, width))
        kernel = (rows[:, None] * columns)[None, None].expand(len(image), 1, height, width)
        padding = (width // 2, width // 2, height // 2, height // 2)
        padded = F.pad(image[None], padding, mode='reflect')
        blurred.append(F.conv2d(padded, kernel, groups=len(image)))
    return torch.cat(blurred)


def _gaussian(size: int, sigma: float) -> Tensor:
    distance = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2))
    return weights / weights.sum()
