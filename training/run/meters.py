"""Figures over several steps: means since the last logged row, speed, time left."""

from __future__ import annotations

import time
from collections.abc import Mapping


class WindowMean:
    """Means of figures since the last logged row; its sums are part of a saved state."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Add the figures of one step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means, after which counting starts again."""
        means = {name: value / self.counts[name] for name, value in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


class Clock:
    """Speed and time left, from the steps of this process alone.

    Evaluations and saving are no part of the speed, but of the time left once there were some.
    """

    def __init__(self) -> None:
        self._seconds, self._steps, self._pauses = 0.0, 0, 0.0
        self._window_seconds, self._window_steps = 0.0, 0
        self._start = time.perf_counter()

    def restart(self) -> None:
        """Begin the next step now: what came since the last one belongs to no step."""
        now = time.perf_counter()
        if self._steps:
            self._pauses += now - self._start
        self._start = now

    def lap(self) -> None:
        """End a step and begin the next."""
        now = time.perf_counter()
        seconds, self._start = now - self._start, now
        self._seconds += seconds
        self._steps += 1
        self._window_seconds += seconds
        self._window_steps += 1

    def take_speed(self) -> float:
        """Speed since the last call [steps/s]."""
        speed = self._window_steps / max(self._window_seconds, 1e-9)
        self._window_seconds, self._window_steps = 0.0, 0
        return speed

    def left(self, steps: int) -> float:
        """Time that this many more steps take, with pauses as long as up to now [s]."""
        return (self._seconds + self._pauses) / max(self._steps, 1) * steps
