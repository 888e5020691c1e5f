"""One-place slots between cameras and a slower worker: the newest frame of each wins."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from threading import Condition
from typing import Generic, TypeVar

Frame = TypeVar('Frame')
RHYTHM = 9
"""Frames whose arrivals tell when the next is due."""
FRESH_S = 0.003
"""A frame that waited for less than this is as good as the next one [s]."""
LATE = 0.25
"""Share of a period that the next frame is waited for beyond the moment at which it is due."""


class LatestFrame(Generic[Frame]):
    """Holds at most one frame; a newer one takes its place and the older one counts as dropped.

    A queue of depth n makes a frame up to n inferences old before its turn comes; one place
    bounds its age by the inferences that are under way before it.

    Args:
        changed: told of every change; slots that one worker waits for share it.
    """

    def __init__(self, changed: Condition) -> None:
        self._changed = changed
        self._frame: Frame | None = None
        self._dropped = 0
        self._closed = False
        self._rests_until_s = 0.0
        self._expects_until_s = 0.0
        self._arrivals: deque[float] = deque(maxlen=RHYTHM)

    def put(self, frame: Frame) -> None:
        """Lay down a frame, over the one that nobody took; ignored once closed."""
        with self._changed:
            if self._closed:
                return
            self._dropped += self._frame is not None
            self._frame = frame
            self._expects_until_s = 0.0
            self._arrivals.append(time.monotonic())
            self._changed.notify()

    def rest(self, until_s: float) -> None:
        """Give no frame before that `time.monotonic()`; newer ones still replace older ones."""
        with self._changed:
            self._rests_until_s = until_s

    def expect_newer(self, within_s: float) -> None:
        """Leave the frame that waits for the next, if that is due within a time.

        The next is due by the rhythm of the last ones. A fresh frame is left for none.

        Args:
            within_s: longest time that is waited, but for some lateness [s]; 0: none.
        """
        with self._changed:
            if self._frame is None or len(self._arrivals) < RHYTHM:
                return
            period_s = median(after - before for before, after in pairwise(self._arrivals))
            now_s = time.monotonic()
            waited_s = now_s - self._arrivals[-1]
            due_s = period_s - waited_s
            if waited_s >= FRESH_S and 0 < due_s <= within_s:
                self._expects_until_s = now_s + due_s + LATE * period_s

    def close(self) -> None:
        """Wake every waiter; from here on nothing goes in and nothing comes out."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the end has been called."""
        return self._closed

    @property
    def _until_s(self) -> float:
        """`time.monotonic()` before which no frame is given."""
        return max(self._rests_until_s, self._expects_until_s)

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before anybody took them."""
        return self._dropped


class Turns(Generic[Frame]):
    """Takes frames from slots in turn: the slot that was served longest ago comes first.

    An empty slot costs the others nothing, and one that is always full has every n-th turn
    at least, so no frame waits for more than one inference per slot.

    Args:
        slots: of one worker, with the same `changed`.
        changed: theirs.
    """

    def __init__(self, slots: Sequence[LatestFrame[Frame]], changed: Condition) -> None:
        self._slots = slots
        self._changed = changed
        self._order = list(range(len(slots)))

    def take(
        self, most: int = 1, alike: Callable[[int, Frame], object] | None = None
    ) -> list[tuple[int, Frame]] | None:
        """Wait for a frame whose slot does not rest; take it, and others like it that wait, too.

        Args:
            most: most frames; one by default.
            alike: given slot and frame, something that is equal for frames that go together.

        Returns:
            Numbers of the slots and their newest frames; None once a slot is closed.
        """
        with self._changed:
            while not any(slot.closed for slot in self._slots):
                waiting = [n for n in self._order if self._slots[n]._frame is not None]
                now_s = time.monotonic()
                rests = [self._slots[number]._until_s - now_s for number in waiting]
                ready = [n for n, rest in zip(waiting, rests, strict=True) if rest <= 0]
                if ready:
                    chosen = [ready[0], *self._like(ready, alike)] if alike else ready
                    return [(number, self._serve(number)) for number in chosen[:most]]
                self._changed.wait(min(rests, default=None))
            return None

    def _like(self, ready: Sequence[int], alike: Callable[[int, Frame], object]) -> list[int]:
        """Those after the first whose frames go together with its frame."""
        kinds = [alike(number, self._frame(number)) for number in ready]
        return [n for n, kind in zip(ready[1:], kinds[1:], strict=True) if kind == kinds[0]]

    def _frame(self, number: int) -> Frame:
        frame = self._slots[number]._frame
        assert frame is not None
        return frame

    def _serve(self, number: int) -> Frame:
        self._order.remove(number)
        self._order.append(number)
        frame, self._slots[number]._frame = self._frame(number), None
        return frame
