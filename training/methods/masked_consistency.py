"""Masked image consistency: the student must see through the gaps what the teacher sees whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.methods.self_training import SelfTraining, draw_colours, recolour
from training.methods.source_only import draw_box
from training.randomness import Stream, step_generator
from training.run.share import WHOLE, Share

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from hrda_core.hrda import HRDA
    from hrda_core.windows import Box
    from training.data.batch_transforms import JitterDraw
    from training.methods import Backward
    from training.methods.settings import MaskedConsistencySettings, SelfTrainingSettings
    from training.methods.teacher import PseudoLabels


@dataclass(frozen=True)
class MaskDraws:
    """Everything random about the masked images of one step.

    Attributes:
        kept: bool (B, rows, columns), the blocks that stay visible.
        box: detail box; None without a second resolution.
        jitter: colour jitter, None for none.
        blur: standard deviation of each image's blur [px], None for none.
    """

    kept: npt.NDArray[np.bool_]
    box: Box | None
    jitter: JitterDraw | None
    blur: tuple[float, ...] | None


class MaskedConsistency(SelfTraining):
    """Self-training, and a loss on target images most of whose blocks are hidden.

    The teacher labels the whole image; the student has to give the same labels from what is
    left of it, which teaches it to use the context (MIC, spec section 7).

    Attributes:
        masking: block size, ratio and weight.
    """

    def __init__(
        self,
        student: HRDA,
        settings: SelfTrainingSettings,
        masking: MaskedConsistencySettings,
        *,
        seed: int,
        pretrained_encoder: bool,
    ) -> None:
        super().__init__(student, settings, seed=seed, pretrained_encoder=pretrained_encoder)
        self.masking = masking

    def draw_mask(self, images: Tensor, step: int, share: Share = WHOLE) -> MaskDraws:
        """Draw what is random about the masked images (B, 3, H, W) of a step."""
        generator = step_generator(self.seed, Stream.MASK, step)
        block, (count, _, height, width) = self.masking.block_size, images.shape
        grid = (share.total(count), -(-height // block), -(-width // block))
        kept = (generator.random(grid) >= self.masking.ratio)[share.slots(count)]
        box = draw_box(self.student.architecture, images, generator)
        return MaskDraws(kept, box, *draw_colours(self.settings, count, generator, share))

    def target_losses(
        self,
        images: Tensor,
        pseudo: PseudoLabels,
        step: int,
        backward: Backward,
        share: Share = WHOLE,
    ) -> dict[str, Tensor]:
        """The composite loss on masked images against the teacher's labels and weights."""
        draws = self.draw_mask(images, step, share)
        with torch.no_grad():
            coloured = recolour(self.student, images, draws.jitter, draws.blur)
            masked = hide_blocks(coloured, torch.from_numpy(draws.kept), self.masking.block_size)
        output = self.student(masked, draws.box)
        parts = self.supervised(output, pseudo.labels, draws.box, pseudo.weights)
        losses = {f'masked_{name}': self.masking.weight * loss for name, loss in parts.items()}
        backward(torch.stack(list(losses.values())).sum())
        self.shown['masked'] = self.student.denormalise(masked[:1])[0].mul(255)
        return losses


def hide_blocks(images: Tensor, kept: Tensor, block_size: int) -> Tensor:
    """Set hidden blocks to 0, the mean colour of normalised images.

    Shape:
        images: (B, C, H, W), as the result; kept: bool (B, rows, columns), blocks of
        block_size px from the top left corner that together cover the image.
    """
    height, width = images.shape[-2:]
    mask = kept.to(images.device).repeat_interleave(block_size, 1)
    mask = mask.repeat_interleave(block_size, 2)[:, None, :height, :width]
    return images * mask
