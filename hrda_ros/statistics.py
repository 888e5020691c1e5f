"""Counts and rates of the frames that went through the node. No ROS."""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from threading import Lock
from typing import NamedTuple

WINDOW_S = 5.0


class Snapshot(NamedTuple):
    """The last seconds in numbers; rates in Hz, times in ms, None where nothing is known."""

    input_hz: float
    output_hz: float
    inference_ms: float | None
    age_ms: float | None
    received: int
    processed: int
    failed: int
    last_error: str
    failing: bool


class FrameStatistics:
    """Counts frames from two threads and tells rates over a sliding window."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._lock = Lock()
        self._arrivals: deque[float] = deque()
        self._results: deque[tuple[float, float, float | None]] = deque()
        self._received = self._processed = self._failed = 0
        self._last_error = ''
        self._failing = False

    def count_received(self) -> None:
        """A frame came in."""
        with self._lock:
            self._received += 1
            self._arrivals.append(time.monotonic())

    def count_processed(self, inference_ms: float, age_ms: float | None) -> None:
        """A frame's results were published; age is from its stamp to now, None if unknown."""
        with self._lock:
            self._processed += 1
            self._failing = False
            self._results.append((time.monotonic(), inference_ms, age_ms))

    def count_failed(self, error: str) -> None:
        """A frame could not be decoded or segmented."""
        with self._lock:
            self._failed += 1
            self._failing = True
            self._last_error = error

    def snapshot(self) -> Snapshot:
        """Totals since the start; rates and medians over the window."""
        with self._lock:
            oldest = time.monotonic() - self._window_s
            while self._arrivals and self._arrivals[0] < oldest:
                self._arrivals.popleft()
            while self._results and self._results[0][0] < oldest:
                self._results.popleft()
            ages = [age for _, _, age in self._results if age is not None]
            return Snapshot(
                _rate_hz(list(self._arrivals)),
                _rate_hz([at_s for at_s, _, _ in self._results]),
                median(ms for _, ms, _ in self._results) if self._results else None,
                median(ages) if ages else None,
                self._received,
                self._processed,
                self._failed,
                self._last_error,
                self._failing,
            )


def _rate_hz(times_s: list[float]) -> float:
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return 0.0
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])
