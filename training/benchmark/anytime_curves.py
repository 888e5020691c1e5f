"""Labels that change, mIoU and time against the windows that are computed, per policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import NamedTuple, Protocol

import numpy as np
import torch

from hrda_core.classes import Uint8Array
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from hrda_core.selection import class_weights
from training.benchmark.anytime_replay import ORDERS, Replay
from training.evaluation.scores import ConfusionMatrix
from training.progress import Display

SHARES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
"""Parts of the windows that are tried."""
TIMED_SHARES = (0.0, 0.25, 0.5, 1.0)
"""Parts whose time is taken; between them, time grows with the number of windows."""
DEADLINE_SHARES = (0.25, 0.5, 0.75)
"""Deadlines, as parts of the time between no window and all."""
PUBLISHED_PLAN = 'published plan'
NewMatrix = Callable[[], ConfusionMatrix]


class Frame(NamedTuple):
    """An image and what is known of it.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        label: uint8 (H, W) train ids, 255 = ignored; None if there are no labels.
        file: its name.
    """

    image: Uint8Array
    label: Uint8Array | None
    file: str


class Frames(Protocol):
    """Images of one size."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, position: int) -> Frame:
        """Read one."""


class Policy(NamedTuple):
    """A way to choose windows.

    Attributes:
        window_size: about the side of a window [px of the scaled image].
        overlap: how far neighbours overlap [px of the scaled image].
        order: one of `ORDERS`, or the published plan, which has no choice.
        limit: budget (a share of the windows of every image), threshold, deadline or none.
        value: of the limit: 0..1, 0..1, or [ms].
    """

    window_size: int
    overlap: int
    order: str
    limit: str
    value: float


@dataclass
class Point:
    """What a policy gave, over all images.

    Attributes:
        policy: how windows were chosen.
        matrix: counts against the labels.
        planned: windows of the plan.
        windows: computed, of each image.
        flips: labels that differ from all windows of the same plan, of each image, 0..1.
        milliseconds: taken, of each image [ms]; empty if they were not taken.
        estimate_ms: time of an image by its windows [ms]; NaN where times were taken.
    """

    policy: Policy
    matrix: ConfusionMatrix
    planned: int
    windows: list[int] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    estimate_ms: float = float('nan')

    @property
    def plan(self) -> str:
        """Its windows in words."""
        return plan_name(self.policy.window_size, self.policy.overlap)

    @property
    def ms(self) -> float:
        """Time of an image, the median if times were taken [ms]."""
        return median(self.milliseconds) if self.milliseconds else self.estimate_ms

    @property
    def miou(self) -> float:
        """Mean IoU, 0..1; NaN without labels."""
        return self.matrix.scores().miou

    def add(self, frame: Frame, labels: Uint8Array, windows: int, flips: float) -> None:
        """Count an image."""
        self.windows.append(windows)
        self.flips.append(flips)
        if frame.label is not None:
            self.matrix.add(labels, frame.label)


def plan_name(window_size: int, overlap: int) -> str:
    """Windows of so many pixels that overlap by so many, in words."""
    return f'windows of {window_size} px' + (f', overlap {overlap} px' if overlap else '')


def distinct_shares(shares: Sequence[float], windows: int) -> list[float]:
    """Of shares that come to the same number of windows, the one that comes nearest to it."""
    nearest: dict[int, float] = {}
    for share in shares:
        count = round(share * windows)
        other = nearest.get(count, math.inf)
        nearest[count] = min(other, share, key=lambda s: abs(s * windows - count))
    return list(nearest.values())


class PlanCurves:
    """Measures all policies on one plan.

    Args:
        model: the network.
        settings: of mode anytime, with window size and overlap but without limits.
        new_matrix: makes an empty one.
        seed: of the random order.
    """

    def __init__(
        self, model: HRDA, settings: InferenceSettings, new_matrix: NewMatrix, seed: int = 0
    ) -> None:
        self._model, self._settings, self._new_matrix = model, settings, new_matrix
        self._generator = np.random.default_rng(seed)
        self._segmenter = Segmenter(model, settings)
        self._points: dict[Policy, Point] = {}

    def measure(self, frames: Frames, display: Display) -> list[Point]:
        """Replay every policy on every image, and take times."""
        height, width = frames[0].image.shape[:2]
        thresholds = self._thresholds(frames)
        timed = self._timed(frames[0])
        times = {share: segmenter.warm_up(height, width) for share, segmenter in timed.items()}
        late = self._with_deadlines(times[0.0], times[1.0], height, width)
        taken: dict[float, list[float]] = {share: [] for share in timed}
        title = plan_name(self._settings.window_size, self._settings.window_overlap)
        for number in display.track(range(len(frames)), title, len(frames)):
            frame = frames[number]
            replay = Replay(self._segmenter, frame.image)
            self._replay(frame, replay, thresholds)
            for share, segmenter in timed.items():
                taken[share].append(segmenter.segment(frame.image).milliseconds)
            for deadline_ms, segmenter in late.items():
                self._meet(frame, replay, segmenter, deadline_ms)
        self._estimate({share: median(values) for share, values in taken.items()})
        return list(self._points.values())

    def _timed(self, frame: Frame) -> dict[float, Segmenter]:
        """Segmenters whose time is taken, by the share of the windows that they compute."""
        windows = len(self._segmenter.refinement(frame.image).plan.windows)
        budgets = dict.fromkeys(round(share * windows) for share in TIMED_SHARES)
        return {
            budget / windows: Segmenter(self._model, replace(self._settings, budget=budget))
            for budget in budgets
        }

    def _with_deadlines(
        self, none_ms: float, all_ms: float, height: int, width: int
    ) -> dict[float, Segmenter]:
        late = {}
        for share in DEADLINE_SHARES:
            deadline_ms = none_ms + share * max(all_ms - none_ms, 1.0)
            settings = replace(self._settings, deadline_ms=deadline_ms)
            late[deadline_ms] = Segmenter(self._model, settings)
            late[deadline_ms].warm_up(height, width)
        return late

    @torch.inference_mode()
    def _thresholds(self, frames: Frames) -> list[float]:
        """Thresholds that leave about the tried shares of all windows, from the contexts alone."""
        weights = class_weights(self._segmenter.classes, self._settings.class_weights)
        scores: list[float] = []
        for number in range(len(frames)):
            refinement = self._segmenter.refinement(frames[number].image)
            scores += refinement.scores(self._settings.window_score, weights)
        return [float(np.quantile(scores, 1 - share)) for share in SHARES if 0 < share < 1]

    def _replay(self, frame: Frame, replay: Replay, thresholds: Sequence[float]) -> None:
        for name in ORDERS:
            order = replay.order(name, self._generator)
            for share in distinct_shares(SHARES, replay.windows):
                chosen = order[: round(share * replay.windows)]
                self._add(frame, replay, self._policy(name, 'budget', share), chosen)
        scores = replay.scores(self._settings.window_score)
        for threshold in thresholds:
            chosen = [number for number, score in enumerate(scores) if score >= threshold]
            policy = self._policy(self._settings.window_score, 'threshold', threshold)
            self._add(frame, replay, policy, chosen)

    def _policy(self, order: str, limit: str, value: float) -> Policy:
        size, overlap = self._settings.window_size, self._settings.window_overlap
        return Policy(size or self._model.architecture.detail_size, overlap, order, limit, value)

    def _point(self, policy: Policy, planned: int) -> Point:
        if policy not in self._points:
            self._points[policy] = Point(policy, self._new_matrix(), planned)
        return self._points[policy]

    def _add(self, frame: Frame, replay: Replay, policy: Policy, chosen: Sequence[int]) -> None:
        point = self._point(policy, replay.windows)
        point.add(frame, replay.labels(chosen), len(chosen), replay.flips(chosen))

    def _meet(
        self, frame: Frame, replay: Replay, segmenter: Segmenter, deadline_ms: float
    ) -> None:
        found = segmenter.segment(frame.image)
        policy = self._policy(self._settings.window_score, 'deadline', deadline_ms)
        point = self._point(policy, replay.windows)
        flips = float(np.mean(found.labels != replay.everything))
        point.add(frame, found.labels, found.windows_computed, flips)
        point.milliseconds.append(found.milliseconds)

    def _estimate(self, times: dict[float, float]) -> None:
        """Give every point that was only replayed the time that its windows take."""
        for point in self._points.values():
            if not point.milliseconds:
                share = fmean(point.windows) / point.planned
                point.estimate_ms = float(np.interp(share, list(times), list(times.values())))


def published_point(
    model: HRDA,
    settings: InferenceSettings,
    new_matrix: NewMatrix,
    frames: Frames,
    display: Display,
) -> Point:
    """The published plan on the same images in mode exact; it has no flips."""
    segmenter = Segmenter(model, replace(settings, mode='exact'))
    segmenter.warm_up(*frames[0].image.shape[:2])
    policy = Policy(model.architecture.detail_size, 0, PUBLISHED_PLAN, 'none', 1.0)
    point = Point(policy, new_matrix(), 0)
    for number in display.track(range(len(frames)), PUBLISHED_PLAN, len(frames)):
        frame = frames[number]
        found = segmenter.segment(frame.image)
        point.add(frame, found.labels, found.windows_computed, 0.0)
        point.milliseconds.append(found.milliseconds)
        point.planned = found.windows_computed
    return point
