"""Context first, then the detail windows that matter most, until a limit is met."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.costs import CostModel
from hrda_core.engines import Engine
from hrda_core.fitted_plan import FittedPlan, Grid
from hrda_core.heads import resize
from hrda_core.hrda import HRDA, CropPrediction, cut, fuse
from hrda_core.inference import InferenceSettings
from hrda_core.selection import (
    SCORES,
    Ageing,
    best_first,
    class_weights,
    window_scores,
)

RAMP_CELLS = 2
"""Detail fades in over twice as many context cells beside a window that was left out."""
TAIL = 'tail'
"""The part of the work that follows the last window: fusion, labels, confidence."""


class Refinement:
    """Images of one size: their context, and whatever detail was added so far.

    Windows are numbered image by image, each in the order of the plan.

    Args:
        engine: computes the network.
        model: says how images are prepared.
        images: normalised (B, 3, plan.height, plan.width).
        plan: contexts and windows of each.

    Attributes:
        plan: as given.
        context: float32 (B, C, h, w), logits of the context.
        attention: float32 (B, C or 1, h, w).
    """

    def __init__(self, engine: Engine, model: HRDA, images: Tensor, plan: FittedPlan) -> None:
        self.plan = plan
        self._engine, self._stride = engine, model.stride
        self._source = model.detail_source(images)
        self.context, self.attention = self._look(model, images)
        size = (plan.height // self._stride, plan.width // self._stride)
        self._sum = self.context.new_zeros(*self.context.shape[:2], *size)
        self._weight = self.context.new_zeros(len(images), 1, *size)
        self._tapers = _tapers(plan.window_grid, Fraction(self._stride), images.device)
        self._added: set[int] = set()

    def _look(self, model: HRDA, images: Tensor) -> tuple[Tensor, Tensor]:
        """Context logits and attention of whole images, seams between contexts blended."""
        logits, attention = [], []
        for box in self.plan.contexts:
            seen = self._engine.context(model.shrink(cut(images, [box])))
            if seen.attention is None:
                raise ValueError('a network of one resolution has no windows to choose from')
            logits.append(seen.logits.float())
            attention.append(seen.attention.float())
        if len(logits) == 1:
            return logits[0], attention[0]
        return self._blend(logits), self._blend(attention)

    def _blend(self, maps: Sequence[Tensor]) -> Tensor:
        cell = self.plan.cell
        size = (int(self.plan.height / cell), int(self.plan.width / cell))
        total = maps[0].new_zeros(*maps[0].shape[:2], *size)
        weight = maps[0].new_zeros(1, 1, *size)
        tapers = _tapers(self.plan.context_grid, cell, maps[0].device)
        for box, part, taper in zip(self.plan.contexts, maps, tapers, strict=True):
            y, x = int(box.y1 / cell), int(box.x1 / cell)
            where = (..., slice(y, y + part.shape[-2]), slice(x, x + part.shape[-1]))
            total[where] += part * taper
            weight[where] += taper
        return total / weight

    def scores(self, name: str, weights: Tensor) -> list[float]:
        """A score per window of every image from the context alone.

        Args:
            name: one of `SCORES`.
            weights: of the classes, (1, C, 1, 1).
        """
        probability = self.context.softmax(dim=1)
        cells = SCORES[name](probability, self.attention, weights.to(probability.device))
        windows, cell = self.plan.windows, self.plan.cell
        return [score for image in cells for score in window_scores(image[None], windows, cell)]

    def compute(self, windows: Sequence[int]) -> Tensor:
        """Detail logits of some windows, float32 (N, C, h / s, w / s); they are not added yet."""
        places = [divmod(number, len(self.plan.windows)) for number in windows]
        parts = [
            cut(self._source[image : image + 1], [self.plan.windows[window]])
            for image, window in places
        ]
        return self._engine.detail(torch.cat(parts)).float()

    def add(self, windows: Sequence[int], logits: Tensor) -> None:
        """Take the detail logits of some windows into the picture."""
        for number, part in zip(windows, logits, strict=True):
            image, window = divmod(number, len(self.plan.windows))
            box = self.plan.windows[window].divided(self._stride)
            where = (image, ..., slice(box.y1, box.y2), slice(box.x1, box.x2))
            self._sum[where] += part * self._tapers[window]
            self._weight[where] += self._tapers[window]
        self._added.update(windows)

    def clear(self) -> None:
        """Forget all detail, to try another choice of windows."""
        self._sum.zero_()
        self._weight.zero_()
        self._added.clear()

    def prediction(self) -> CropPrediction:
        """Fuse what is there; the context answers alone wherever a window was left out."""
        size = (self._sum.shape[-2], self._sum.shape[-1])
        there = self._weight > 0
        detail = torch.where(there, self._sum / self._weight, resize(self.context, size))
        mask = self._mask()
        fused, _ = fuse(self.context, self.attention, detail, mask)
        return CropPrediction(fused, self.context, detail, self.attention * mask)

    def _mask(self) -> Tensor:
        """Where detail counts, 0..1 on the grid of the context, fading beside gaps."""
        size = self.context.shape[-2:]
        if len(self._added) == len(self.context) * len(self.plan.windows):
            return self.context.new_ones(1, 1, *size)
        missing = F.adaptive_max_pool2d((self._weight == 0).float(), size)
        kernel = 2 * RAMP_CELLS + 1
        near = F.max_pool2d(missing, kernel, 1, RAMP_CELLS)
        return 1 - F.avg_pool2d(near, kernel, 1, RAMP_CELLS, count_include_pad=False)


@lru_cache(maxsize=64)
def _tapers(grid: Grid, cell: Fraction, device: torch.device) -> tuple[Tensor, ...]:
    """Weights (h, w) of every box of a grid, falling towards neighbours that overlap it."""
    rows = [torch.tensor(weights, device=device) for weights in grid.rows.tapers(cell)]
    columns = [torch.tensor(weights, device=device) for weights in grid.columns.tapers(cell)]
    return tuple(row[:, None] * column for row in rows for column in columns)


class Choice(NamedTuple):
    """What was computed for images of one size.

    Attributes:
        prediction: fused, context, detail and attention of the whole images.
        computed: the windows of each image that went through the network.
    """

    prediction: CropPrediction
    computed: list[list[int]]


class Anytime:
    """Refines images until a limit of the settings is met, and learns what windows cost.

    Args:
        engine: computes the network.
        model: with a detail branch.
        settings: limits, weights and ageing, complete as by `tuned_settings`.

    Attributes:
        settings: as given; others with different limits may take their place at any time and
            hold from the next image on.

    Raises:
        ValueError: class weights name unknown classes.
    """

    def __init__(self, engine: Engine, model: HRDA, settings: InferenceSettings) -> None:
        self._engine, self._model, self.settings = engine, model, settings
        self._weights = class_weights(model.classes, settings.class_weights)
        self._ages: defaultdict[str, Ageing] = defaultdict(lambda: Ageing(settings.ageing))
        self._costs: defaultdict[FittedPlan, CostModel] = defaultdict(CostModel)

    def predict(
        self,
        images: Tensor,
        plan: FittedPlan,
        batch: int,
        started_s: float,
        streams: Sequence[str],
    ) -> Choice:
        """Refine images: the best windows of all first, under one deadline and a budget each.

        Args:
            images: normalised (B, 3, plan.height, plan.width).
            plan: contexts and windows of each.
            batch: most windows at once.
            started_s: `time.perf_counter()` when the work on the images began.
            streams: name of each image's camera, whose windows age on their own.
        """
        settings = self.settings  # once, because another thread may change them meanwhile
        refinement = Refinement(self._engine, self._model, images, plan)
        scores = self._aged(refinement.scores(settings.window_score, self._weights), streams)
        count = len(plan.windows)
        queue = [
            number * count + window
            for number in range(len(streams))
            for window in best_first(
                scores[number * count : (number + 1) * count],
                settings.threshold or 0.0,
                settings.budget,
            )
        ]
        queue.sort(key=lambda number: -scores[number])
        done = self._refine(refinement, queue, batch, started_s, settings.deadline_ms)
        computed: list[list[int]] = [[] for _ in streams]
        for number in done:
            computed[number // count].append(number % count)
        for stream, windows in zip(streams, computed, strict=True):
            self._ages[stream].computed(windows)
        return Choice(refinement.prediction(), computed)

    def _aged(self, scores: Sequence[float], streams: Sequence[str]) -> list[float]:
        """Scores of the windows of each image, which grow with the frames of its camera."""
        count = len(scores) // len(streams)
        return [
            score
            for number, stream in enumerate(streams)
            for score in self._ages[stream].apply(scores[number * count : (number + 1) * count])
        ]

    def is_ready(self, plan: FittedPlan) -> bool:
        """Whether a deadline, if there is one, can be kept: what windows cost was measured."""
        return self.settings.deadline_ms is None or plan in self._costs

    def note_tail(self, plan: FittedPlan, milliseconds: float) -> None:
        """Tell how long the work on an image after the last window took [ms]."""
        self._costs[plan].record(TAIL, milliseconds)

    def forget_tail(self, plan: FittedPlan) -> None:
        """Take no more account of what `note_tail` told: it was of images that came too early."""
        self._costs[plan].forget(TAIL)

    def measure(self, images: Tensor, plan: FittedPlan, batch: int) -> None:
        """Take the time of batches of every size, for the deadlines to come."""
        image = Refinement(self._engine, self._model, images, plan)
        size = 1
        while size <= min(batch, len(plan.windows)):
            for _ in range(2):  # the first of a size may still allocate and compile
                started_s = time.perf_counter()
                image.compute(range(size))
                _wait_for(images.device)
            self._costs[plan].record(size, (time.perf_counter() - started_s) * 1e3)
            size *= 2

    def _refine(
        self,
        images: Refinement,
        queue: list[int],
        batch: int,
        started_s: float,
        deadline_ms: float | None,
    ) -> list[int]:
        """Compute windows in batches whose sizes are powers of two, as long as time is left."""
        costs = self._costs[images.plan]
        batch = 1 << (batch.bit_length() - 1)
        tail_ms = (costs.expected(TAIL) or 0.0) * len(images.context)
        done = 0
        while done < len(queue):
            size = min(batch, 1 << ((len(queue) - done).bit_length() - 1))
            if deadline_ms is not None:
                _wait_for(images.context.device)
                start_s = time.perf_counter()
                left_ms = deadline_ms - (start_s - started_s) * 1e3 - tail_ms
                fit = costs.largest_batch if done else costs.first_batch
                size = fit(left_ms, size)
            if size == 0:
                break
            windows = queue[done : done + size]
            images.add(windows, images.compute(windows))
            done += size
            if deadline_ms is not None:
                _wait_for(images.context.device)
                costs.record(size, (time.perf_counter() - start_s) * 1e3)
        return queue[:done]


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
