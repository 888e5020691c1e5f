"""Every detail window of an image computed once, so that any choice of windows can be tried."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from hrda_core.classes import Uint8Array
from hrda_core.segmenter import Segmenter
from hrda_core.selection import SCORES, best_first, class_weights

RANDOM, BEST = 'random', 'best possible'
ORDERS = (*SCORES, RANDOM, BEST)
"""Which windows come first: by score, by chance, or by how many labels each really changes."""


class Replay:
    """One image with all its detail.

    Args:
        segmenter: in mode anytime.
        image: uint8 (H, W, 3) RGB.

    Attributes:
        windows: how many its plan has.
        everything: labels with all of them, uint8 (H, W).
    """

    @torch.inference_mode()
    def __init__(self, segmenter: Segmenter, image: Uint8Array) -> None:
        self._segmenter, self._size = segmenter, (image.shape[0], image.shape[1])
        self._refinement = segmenter.refinement(image)
        self.windows = len(self._refinement.plan.windows)
        self._detail = [self._refinement.compute([number]) for number in range(self.windows)]
        self._known: dict[frozenset[int], Uint8Array] = {}
        self.everything = self.labels(range(self.windows))

    @torch.inference_mode()
    def labels(self, chosen: Iterable[int]) -> Uint8Array:
        """Labels with some of the windows, as the segmenter would give them, uint8 (H, W)."""
        key = frozenset(chosen)
        if key not in self._known:
            self._refinement.clear()
            for number in sorted(key):
                self._refinement.add([number], self._detail[number])
            self._known[key] = self._segmenter.labels_of(self._refinement, self._size)
        return self._known[key]

    def flips(self, chosen: Iterable[int]) -> float:
        """Share of the labels that differ from those with all windows, 0..1."""
        return float(np.mean(self.labels(chosen) != self.everything))

    @torch.inference_mode()
    def scores(self, name: str) -> list[float]:
        """A score per window from the context alone; name is one of `SCORES`."""
        named = self._segmenter.settings.class_weights
        return self._refinement.scores(name, class_weights(self._segmenter.classes, named))

    def order(self, name: str, generator: np.random.Generator) -> list[int]:
        """All windows, those first that are worth the most; name is one of `ORDERS`."""
        if name == RANDOM:
            return [int(number) for number in generator.permutation(self.windows)]
        return best_first(self._changes() if name == BEST else self.scores(name), 0.0, None)

    def _changes(self) -> list[float]:
        """How many labels differ inside each window between none of the windows and all."""
        differ = self.labels(()) != self.everything
        height, width = self._segmenter.scaled(self._size)
        rows, columns = self._size[0] / height, self._size[1] / width
        counts = []
        for box in self._refinement.plan.windows:
            tall = slice(round(box.y1 * rows), round(box.y2 * rows))
            counts.append(
                float(differ[tall, round(box.x1 * columns) : round(box.x2 * columns)].sum())
            )
        return counts
