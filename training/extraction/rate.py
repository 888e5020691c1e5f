"""Choosing frames by time: one per interval, by header stamp, before anything is decoded."""

from __future__ import annotations

import re

_SECOND_NS = 1_000_000_000
_UNITS_NS = {'s': _SECOND_NS, 'ms': 1_000_000, 'us': 1000, 'min': 60 * _SECOND_NS}
_TEXT = re.compile(r'\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*')


def parse_interval(text: str) -> int:
    """Read '0.5s', '500ms', '1min', '0.5' (seconds) or a rate such as '2Hz' as nanoseconds.

    Args:
        text: the value of an option --every.

    Raises:
        ValueError: anything else, zero included.
    """
    match = _TEXT.fullmatch(text)
    number, unit = (float(match[1]), match[2].lower() or 's') if match else (0.0, '')
    if number > 0 and unit == 'hz':
        return max(1, round(_SECOND_NS / number))
    if number > 0 and unit in _UNITS_NS:
        return max(1, round(number * _UNITS_NS[unit]))
    raise ValueError(
        f"--every '{text}' is no interval; expected a time above zero such as 0.5s or 500ms, or "
        'a rate such as 2Hz'
    )


class FrameClock:
    """Takes the frames that are nearest to a grid of times, so that the rate does not drift.

    The grid starts at the first frame. A frame before its grid time is taken when the next one,
    expected after the same time as the one before, would be further off: cameras jitter.
    A stamp that jumps back by more than an interval (a looped or restarted clock) starts anew.

    Args:
        interval_ns: distance of the grid times [ns]; 0 takes every frame.
    """

    def __init__(self, interval_ns: int) -> None:
        self._interval = interval_ns
        self._first: int | None = None
        self._previous = 0
        self._slot = 0

    def takes(self, stamp_ns: int) -> bool:
        """Whether to take the frame of this stamp [ns]; to be asked for every frame in turn."""
        if not self._interval:
            return True
        previous, self._previous = self._previous, stamp_ns
        if self._first is None or stamp_ns < previous - self._interval:
            self._first, self._slot = stamp_ns, 0
            return True
        due = self._first + (self._slot + 1) * self._interval
        if due - stamp_ns > max(0, stamp_ns - previous) / 2:
            return False
        self._slot = max(self._slot + 1, (stamp_ns - self._first) // self._interval)
        return True
