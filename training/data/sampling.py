"""Rare class sampling: which source frame is learnt from next, so that rare classes come up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.class_stats import ClassStatistics
from training.methods.settings import SelfTrainingSettings


@dataclass(frozen=True)
class RareClassDraw:
    """A drawn frame and why.

    Attributes:
        frame: index of the frame.
        train_id: the class it was drawn for.
        min_pixels: a crop should have more pixels of that class [px].
    """

    frame: int
    train_id: int
    min_pixels: float


def rare_class_probabilities(
    shares: npt.NDArray[np.float64], temperature: float
) -> npt.NDArray[np.float64]:
    """Probability of each class: softmax of (1 - share) / temperature (HRDA spec 3.7).

    Shape:
        shares: (classes,), share of all labelled pixels; result: (classes,), sums to 1.
        Classes that do not occur have probability 0.

    Raises:
        ValueError: no class occurs.
    """
    occurring = shares > 0
    if not occurring.any():
        raise ValueError(
            'the source labels hold no class at all, every pixel is 255 (ignored); '
            'check source.labels and source.label_ids'
        )
    logits = np.where(occurring, (1 - shares) / temperature, -np.inf)
    weights: npt.NDArray[np.float64] = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


class RareClassSampler:
    """Draws a class, rare ones more often, then a frame that has enough of it.

    A class that no frame has more than `rare_class_min_pixels` of would never come up; its
    limit is lowered to half of what the frame with most of it has.

    Args:
        statistics: of the frames to draw from.
        settings: temperature and limits.
        rarity: (classes,), the share of each class in all that is learnt from, which says how
            rare it is; None = its share in these frames.

    Attributes:
        probabilities: (classes,), how often each class is drawn.
        min_pixels: (classes,), a frame stands for a class when it has more [px].
    """

    def __init__(
        self,
        statistics: ClassStatistics,
        settings: SelfTrainingSettings,
        rarity: npt.NDArray[np.float64] | None = None,
    ) -> None:
        counts, shares = statistics.counts, statistics.shares
        if rarity is not None:
            shares = np.where(shares > 0, rarity, 0)
        self.probabilities = rare_class_probabilities(shares, settings.rare_class_temperature)
        most = counts.max(axis=0)
        wanted = settings.rare_class_min_pixels
        self.min_pixels = np.where(most > wanted, wanted, most // 2)
        self._frames = [
            np.flatnonzero(column > limit)
            for column, limit in zip(counts.T, self.min_pixels, strict=True)
        ]
        self._crop_ratio = settings.rare_class_min_crop_ratio

    def draw(self, generator: np.random.Generator) -> RareClassDraw:
        """Draw a class and a frame."""
        train_id = int(generator.choice(len(self.probabilities), p=self.probabilities))
        frame = int(generator.choice(self._frames[train_id]))
        return RareClassDraw(frame, train_id, self.min_pixels[train_id] * self._crop_ratio)
