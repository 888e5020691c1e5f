"""How few detail windows change how few labels: measured without labels, on any images."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from hrda_core.classes import Uint8Array
from hrda_core.segmenter import Segmenter
from hrda_core.selection import best_first, class_weights

STAGES = 25
"""Numbers of windows per image at which labels are compared."""


@dataclass(frozen=True)
class Trial:
    """What a threshold gives, over all images.

    Attributes:
        threshold: least score of a window that is computed.
        share: windows computed, 0..1 of all.
        flips: labels that differ from those with all windows, 0..1 of all.
        milliseconds: estimated time of network and windows per image [ms].
    """

    threshold: float
    share: float
    flips: float
    milliseconds: float


@dataclass
class Curve:
    """Flips against windows of every image, from which any threshold can be read.

    Attributes:
        scores: per image, scores of its windows, highest first.
        flips: per image, share of flipped labels after the first k of them, k = 0, 1, ...; NaN
            where it was not looked at.
        context_ms: time of each context [ms].
        window_ms: time of each window [ms].
    """

    scores: list[list[float]] = field(default_factory=list)
    flips: list[list[float]] = field(default_factory=list)
    context_ms: list[float] = field(default_factory=list)
    window_ms: list[float] = field(default_factory=list)

    @torch.inference_mode()
    def add(self, segmenter: Segmenter, image: Uint8Array) -> None:
        """Measure one image, uint8 (H, W, 3) RGB, with a segmenter in mode anytime."""
        settings = segmenter.settings
        size = (image.shape[0], image.shape[1])
        started_s = time.perf_counter()
        refinement = segmenter.refinement(image)
        weights = class_weights(segmenter.classes, settings.class_weights)
        scores = refinement.scores(settings.window_score, weights)
        self.context_ms.append((time.perf_counter() - started_s) * 1e3)
        order = best_first(scores, 0.0, None)
        labels = {0: segmenter.labels_of(refinement, size)}
        stages = set(np.linspace(0, len(order), STAGES + 1).round().astype(int).tolist())
        for number, window in enumerate(order, start=1):
            started_s = time.perf_counter()
            refinement.add([window], refinement.compute([window]))
            self.window_ms.append((time.perf_counter() - started_s) * 1e3)
            if number in stages:
                labels[number] = segmenter.labels_of(refinement, size)
        final = labels[len(order)]
        self.scores.append([scores[window] for window in order])
        self.flips.append(
            [
                float((labels[k] != final).mean()) if k in labels else float('nan')
                for k in range(len(order) + 1)
            ]
        )

    def trial(self, threshold: float) -> Trial:
        """What a threshold would give; between stages, the flips of the stage before count."""
        counts = [sum(score >= threshold for score in scores) for scores in self.scores]
        flips = [_known(flips, k) for flips, k in zip(self.flips, counts, strict=True)]
        windows = sum(len(scores) for scores in self.scores)
        time_ms = np.median(self.context_ms) + np.mean(counts) * np.median(self.window_ms)
        return Trial(threshold, sum(counts) / windows, float(np.mean(flips)), float(time_ms))

    def trials(self) -> list[Trial]:
        """Thresholds from none of the windows to all of them."""
        pooled = sorted((score for scores in self.scores for score in scores), reverse=True)
        places = np.linspace(0, len(pooled) - 1, min(4 * STAGES, len(pooled))).round().astype(int)
        thresholds = [1.0, *(pooled[place] for place in places)]
        return [self.trial(threshold) for threshold in dict.fromkeys(thresholds)]

    def cheapest(self, max_flips: float) -> Trial:
        """The highest threshold that keeps to a share of flipped labels, 0..1."""
        return next(trial for trial in self.trials() if trial.flips <= max_flips)


def _known(flips: Sequence[float], count: int) -> float:
    """The flips after so many windows, or after the last smaller number that was looked at."""
    return next(value for value in reversed(flips[: count + 1]) if value == value)


def measure(segmenter: Segmenter, images: Iterable[Uint8Array]) -> Curve:
    """Measure images, uint8 (H, W, 3) RGB.

    Raises:
        ValueError: there is no image, or one that cannot be segmented.
    """
    curve = Curve()
    for image in images:
        curve.add(segmenter, image)
    if not curve.scores:
        raise ValueError('no image to measure; name a folder with images of the camera')
    return curve
