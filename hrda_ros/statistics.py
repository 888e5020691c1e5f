"""Counts and rates of the frames that went through the node. No ROS."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from threading import Lock
from typing import NamedTuple

WINDOW_S = 5.0
LONG_WINDOW_S = 60.0
MOST_RESULTS = 5000
UNDECODABLE, MODEL_FAILED, STALE = 'undecodable', 'model_failed', 'stale'
REASONS = (UNDECODABLE, MODEL_FAILED, STALE)
"""Why a frame that was taken up is dropped."""


class FrameResult(NamedTuple):
    """One frame that was published.

    Attributes:
        inference_ms: time of the model [ms].
        age_ms: from its stamp to its publication [ms]; None if the stamp tells nothing.
        windows: detail windows that were computed, and those that were planned.
        at_once: frames that the model worked on together.
    """

    inference_ms: float
    age_ms: float | None = None
    windows: tuple[int, int] = (0, 0)
    at_once: int = 1


class Snapshot(NamedTuple):
    """The frames so far in numbers; None where nothing is known.

    Attributes:
        input_hz, output_hz: rates over the last seconds [Hz].
        inference_ms: median, 95th and 99th percentile over the last minute [ms].
        age_ms: median and largest over the last seconds [ms].
        recent_ms: median time of the model over the last seconds [ms].
        windows: computed and planned per frame, means over the last seconds.
        at_once: frames that the model worked on together, mean over the last seconds.
        received, processed: frames since the start.
        dropped: frames since the start by reason, one of `REASONS`.
        lately_dropped: frames dropped in the last seconds.
        failing: why the last frame was dropped; '' if it was published.
        last_error: text of the last drop, however long ago.
    """

    input_hz: float
    output_hz: float
    inference_ms: tuple[float, float, float] | None
    age_ms: tuple[float, float] | None
    recent_ms: float | None
    windows: tuple[float, float] | None
    at_once: float | None
    received: int
    processed: int
    dropped: Mapping[str, int]
    lately_dropped: int
    failing: str
    last_error: str


class FrameStatistics:
    """Counts frames from two threads and tells rates over sliding windows."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._lock = Lock()
        self._arrivals: deque[float] = deque()
        self._drops: deque[float] = deque()
        # A camera of 80 Hz fills it in the long window; a faster one may not fill the memory.
        self._results: deque[tuple[float, FrameResult]] = deque(maxlen=MOST_RESULTS)
        self._received = self._processed = 0
        self._dropped: Counter[str] = Counter()
        self._failing = self._last_error = ''

    def count_received(self) -> None:
        """A frame came in."""
        with self._lock:
            self._received += 1
            self._arrivals.append(time.monotonic())

    def count_processed(self, result: FrameResult) -> None:
        """A frame's results were published."""
        with self._lock:
            self._processed += 1
            self._failing = ''
            self._results.append((time.monotonic(), result))

    def count_dropped(self, reason: str, error: str) -> None:
        """A frame that was taken up is given up: one of `REASONS`, and the details."""
        with self._lock:
            self._dropped[reason] += 1
            self._drops.append(time.monotonic())
            self._failing, self._last_error = reason, error

    def snapshot(self) -> Snapshot:
        """Totals since the start; rates, medians and percentiles over the last while."""
        with self._lock:
            now_s = time.monotonic()
            oldest_s = now_s - self._window_s
            for past_s in (self._arrivals, self._drops):
                while past_s and past_s[0] < oldest_s:
                    past_s.popleft()
            while self._results and self._results[0][0] < now_s - LONG_WINDOW_S:
                self._results.popleft()
            every = [result for _, result in self._results]
            times = [at_s for at_s, _ in self._results if at_s >= oldest_s]
            recent = every[len(every) - len(times) :]
            ages = [result.age_ms for result in recent if result.age_ms is not None]
            windows = [result.windows for result in recent]
            return Snapshot(
                _rate_hz(list(self._arrivals)),
                _rate_hz(times),
                _percentiles([result.inference_ms for result in every]),
                (median(ages), max(ages)) if ages else None,
                median(result.inference_ms for result in recent) if recent else None,
                (fmean(w[0] for w in windows), fmean(w[1] for w in windows)) if windows else None,
                fmean(result.at_once for result in recent) if recent else None,
                self._received,
                self._processed,
                {reason: self._dropped[reason] for reason in REASONS},
                len(self._drops),
                self._failing,
                self._last_error,
            )


def _percentiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Median, 95th and 99th percentile: the smallest value that so many do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    p50, p95, p99 = (ordered[math.ceil(p * len(ordered) / 100) - 1] for p in (50, 95, 99))
    return p50, p95, p99


def _rate_hz(times_s: list[float]) -> float:
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return 0.0
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])
