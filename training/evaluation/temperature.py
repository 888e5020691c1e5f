"""Fit a temperature to labelled pixels, by the likelihood of their labels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hrda_core.classes import IGNORE, Uint8Array
from hrda_core.segmenter import Segmenter
from training.evaluation.calibration import Calibration

LEAST, MOST = 0.05, 20.0
"""Temperatures that are searched."""
STEPS = 40
"""Of golden section: they leave 4e-9 of the logarithm of the range."""
PIXELS_AT_ONCE = 100_000
SMALLEST = 1e-30

Merge = Callable[[Uint8Array], Uint8Array]


class LabelledPixels:
    """Class scores and labels of pixels drawn from labelled frames.

    Args:
        merge: train ids after the merging of classes, of any shape.
        classes: how many classes there are.
        per_image: most pixels of one frame; scores of all would not fit into memory.
        seed: of the draw.
    """

    def __init__(self, merge: Merge, classes: int, per_image: int, seed: int = 0) -> None:
        self._merge, self._per_image = merge, per_image
        self._rng = np.random.default_rng(seed)
        self._scores: list[Tensor] = []
        self._labels: list[Uint8Array] = []
        self._merged = merge(np.arange(classes, dtype=np.uint8))

    def add(self, segmenter: Segmenter, image: Uint8Array, label: Uint8Array) -> None:
        """Draw pixels of a frame.

        Args:
            segmenter: not calibrated.
            image: uint8 (H, W, 3) RGB.
            label: uint8 (H, W) train ids, 255 = ignored.
        """
        merged = self._merge(label)
        places = np.flatnonzero(merged != IGNORE)
        if len(places) > self._per_image:
            places = np.sort(self._rng.choice(places, self._per_image, replace=False))
        start = 0
        for strip in segmenter.probabilities(image):
            stop = start + strip[0].numel()
            chosen = torch.from_numpy(places[(places >= start) & (places < stop)] - start)
            found = strip.flatten(1)[:, chosen.to(strip.device)].T
            self._scores.append(found.clamp_min(SMALLEST).log().cpu())
            start = stop
        self._labels.append(merged.reshape(-1)[places])

    def __len__(self) -> int:
        return sum(map(len, self._labels))

    def loss(self, temperature: float) -> float:
        """Mean negative log likelihood of the labels; merged classes add their probabilities."""
        # Of a label, the classes that count as it.
        members = torch.from_numpy(self._merged[None] == np.arange(len(self._merged))[:, None])
        outside = torch.where(members, 0.0, -math.inf)
        total = 0.0
        for scores, labels in self._parts():
            scaled = scores / temperature
            likely = (scaled + outside[labels]).logsumexp(1) - scaled.logsumexp(1)
            total -= float(likely.double().sum())
        return total / len(self)

    def calibration(self, temperature: float) -> Calibration:
        """How far confidence holds at a temperature."""
        counted = Calibration()
        for scores, labels in self._parts():
            confidence, predicted = (scores / temperature).softmax(1).max(1)
            as_bytes = confidence.mul(255).round().to(torch.uint8).numpy()
            merged = self._merged[predicted.numpy()]
            counted.add(as_bytes, merged, labels.numpy().astype(np.uint8))
        return counted

    def _parts(self) -> list[tuple[Tensor, Tensor]]:
        scores = torch.cat(self._scores).split(PIXELS_AT_ONCE)
        labels = torch.from_numpy(np.concatenate(self._labels)).long().split(PIXELS_AT_ONCE)
        return list(zip(scores, labels, strict=True))


def fit_temperature(loss: Callable[[float], float]) -> float:
    """The temperature of least loss, by golden section over its logarithm.

    The likelihood is concave in 1 / temperature, so that there is one best value.
    """
    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(LEAST), math.log(MOST)
    places = [high - ratio * (high - low), low + ratio * (high - low)]
    losses = [loss(math.exp(place)) for place in places]
    for _ in range(STEPS):
        if losses[0] < losses[1]:
            high, places[1], losses[1] = places[1], places[0], losses[0]
            places[0] = high - ratio * (high - low)
            losses[0] = loss(math.exp(places[0]))
        else:
            low, places[0], losses[0] = places[0], places[1], losses[1]
            places[1] = low + ratio * (high - low)
            losses[1] = loss(math.exp(places[1]))
    return math.exp((low + high) / 2)
