"""What parts of the work cost, learnt while working, and what fits into the time that is left."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

RECENT = 32
"""Measurements that a cost is judged by."""
PATIENCE = 16
"""How often a batch is passed over because of its cost before that cost is doubted."""
MOST_PATIENCE = 1024
"""The same at most: it doubles as long as the doubt was wrong."""


class CostModel:
    """What parts of the work took lately, and so what fits into the time that is left.

    It expects of each part the longest of its recent times: a deadline that is kept on average
    only is not kept. A cost that keeps a batch from being computed would never be measured
    again, though it may stem from a moment in which the machine stood still; so it is doubted
    after some time, and seldom again if it was right.
    """

    def __init__(self) -> None:
        self._times: defaultdict[str | int, deque[float]] = defaultdict(
            lambda: deque(maxlen=RECENT)
        )
        self._passed: Counter[int] = Counter()
        self._patience: defaultdict[int, int] = defaultdict(lambda: PATIENCE)

    def record(self, part: str | int, milliseconds: float) -> None:
        """Note the time [ms] of a named part, or of a batch of so many windows."""
        self._times[part].append(milliseconds)

    def forget(self, part: str | int) -> None:
        """Take no more account of the times of a part so far."""
        self._times.pop(part, None)

    def expected(self, part: str | int) -> float | None:
        """The longest recent time of a part [ms]; None if it was never measured."""
        return max(self._times[part], default=None)

    def first_batch(self, left_ms: float, most: int) -> int:
        """As `largest_batch`, for an image that has no window yet and none if nothing fits.

        Once in a while a single window is tried all the same.
        """
        batch = self.largest_batch(left_ms, most)
        if batch == 0 and min(left_ms, most) > 0 and self._doubts(1):
            for size in [part for part in self._times if isinstance(part, int)]:
                del self._times[size]
            return 1
        return batch

    def largest_batch(self, left_ms: float, most: int) -> int:
        """The most windows, a power of two up to `most`, that fit into the time; 0 for none.

        A size that was never measured is expected to take as long per window as the one below
        it; a single window that was never measured is tried while any time is left.
        """
        batch, known = 0, 0.0
        size = 1
        while size <= most and left_ms > 0:
            hoped = known * 2
            measured = self._batch_time(size)
            known = hoped if measured is None else measured
            if known > left_ms:
                if batch and hoped <= left_ms and self._doubts(size):
                    self._times.pop(size, None)  # or that of a larger size was expected of it
                    return size
                break
            self._trust(size)
            batch, size = size, size * 2
        return batch

    def _batch_time(self, size: int) -> float | None:
        """What so many windows take at most, since more of them took no longer [ms]."""
        sizes = [part for part in self._times if isinstance(part, int) and part >= size]
        times = [self.expected(part) for part in sizes]
        return min((time for time in times if time is not None), default=None)

    def _doubts(self, size: int) -> bool:
        """Whether a batch was passed over so often that its cost should be measured anew."""
        self._passed[size] += 1
        if self._passed[size] < self._patience[size]:
            return False
        self._passed[size] = 0
        self._patience[size] = min(self._patience[size] * 2, MOST_PATIENCE)
        return True

    def _trust(self, size: int) -> None:
        self._passed.pop(size, None)
        self._patience.pop(size, None)
