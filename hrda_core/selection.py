"""Which detail windows are worth computing: scores from the context alone, limits, and memory.

The scale attention is known before any detail window is computed, and training masks it to zero
where there is no detail; so a window that is left out is a case the network was trained for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from hrda_core.classes import ClassSet
from hrda_core.windows import Box

ScoreName = Literal['attention_uncertainty', 'attention', 'entropy', 'margin', 'boundary']
"""Keys of `SCORES`, for parsers of settings."""


def attention_uncertainty(probability: Tensor, attention: Tensor, weights: Tensor) -> Tensor:
    """How much the detail is listened to, where the context is unsure (the default score)."""
    uncertainty = 1 - probability.amax(dim=1)
    return attention_mass(probability, attention, weights) * uncertainty


def attention_mass(probability: Tensor, attention: Tensor, weights: Tensor) -> Tensor:
    """Attention of the classes that the context expects."""
    mass: Tensor = (attention * probability * weights).sum(dim=1)
    return mass


def entropy(probability: Tensor, attention: Tensor, weights: Tensor) -> Tensor:
    """Entropy of the context, 0..1, whatever the attention says."""
    terms: Tensor = torch.special.entr(probability) * weights
    return terms.sum(dim=1) / math.log(max(probability.shape[1], 2))


def margin(probability: Tensor, attention: Tensor, weights: Tensor) -> Tensor:
    """Attention where the context's two best classes are close."""
    best = probability.topk(min(2, probability.shape[1]), dim=1).values
    closeness = 1 - (best[:, 0] - best[:, -1])
    return attention_mass(probability, attention, weights) * closeness


def boundary(probability: Tensor, attention: Tensor, weights: Tensor) -> Tensor:
    """Attention on borders between the context's classes."""
    labels = probability.argmax(dim=1, keepdim=True).float()
    padded = torch.nn.functional.pad(labels, (1, 1, 1, 1), mode='replicate')
    highest = torch.nn.functional.max_pool2d(padded, 3, 1)
    lowest = -torch.nn.functional.max_pool2d(-padded, 3, 1)
    edge = (highest != lowest)[:, 0].float()
    return attention_mass(probability, attention, weights) * edge


SCORES: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    'attention_uncertainty': attention_uncertainty,
    'attention': attention_mass,
    'entropy': entropy,
    'margin': margin,
    'boundary': boundary,
}
"""Score per cell: probability (1, C, h, w), attention (1, C or 1, h, w), class weights
(1, C, 1, 1) to (1, h, w)."""


def window_scores(cells: Tensor, windows: Sequence[Box], cell: Fraction) -> list[float]:
    """Mean score of every window.

    Args:
        cells: score per context cell, (1, h, w).
        windows: in image coordinates.
        cell: image pixels per context cell.
    """
    height, width = cells.shape[-2:]
    sums = torch.zeros(height + 1, width + 1, dtype=torch.float64)
    sums[1:, 1:] = cells[0].double().cpu().cumsum(0).cumsum(1)
    return [_mean(sums, box, cell) for box in windows]


def _mean(sums: Tensor, box: Box, cell: Fraction) -> float:
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    y1, x1 = min(int(box.y1 / cell), height - 1), min(int(box.x1 / cell), width - 1)
    y2, x2 = min(math.ceil(box.y2 / cell), height), min(math.ceil(box.x2 / cell), width)
    total = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return float(total) / ((y2 - y1) * (x2 - x1))


def class_weights(classes: ClassSet, named: Mapping[str, float]) -> Tensor:
    """Weights of all classes, (1, C, 1, 1), 1 for those that are not named.

    Raises:
        ValueError: a name is no class of the network.
    """
    weights = torch.ones(len(classes))
    for name, weight in named.items():
        if name not in classes.names:
            raise ValueError(
                f'class_weights: the network has no class {name!r}; its classes are '
                f'{", ".join(classes.names)}'
            )
        weights[classes.names.index(name)] = weight
    return weights.view(1, -1, 1, 1)


class Ageing:
    """Lets the scores of windows grow while they are left out, so that no region starves.

    Args:
        rate: a score is multiplied by (1 + rate * frames since the window was computed).
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._frames: list[int] = []

    def apply(self, scores: Sequence[float]) -> list[float]:
        """Scores of this frame, aged; another number of windows starts anew."""
        if len(self._frames) != len(scores):
            self._frames = [0] * len(scores)
        pairs = zip(scores, self._frames, strict=True)
        return [score * (1 + self._rate * frames) for score, frames in pairs]

    def computed(self, windows: Sequence[int]) -> None:
        """End of a frame: these windows were computed, all others grow older."""
        self._frames = [frames + 1 for frames in self._frames]
        for number in windows:
            self._frames[number] = 0


def best_first(scores: Sequence[float], threshold: float, budget: int | None) -> list[int]:
    """Windows to compute: best score first, none below the threshold, at most the budget."""
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    return [number for number in order if scores[number] >= threshold][:budget]
