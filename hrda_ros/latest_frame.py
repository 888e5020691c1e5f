"""A one-place slot between a camera and a slower worker: the newest frame wins."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

Frame = TypeVar('Frame')


class LatestFrame(Generic[Frame]):
    """Holds at most one frame; a newer one takes its place and the older one counts as dropped.

    A queue of depth n makes a frame up to n inferences old before its turn comes; one place
    bounds its age by the inference that is under way.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._frame: Frame | None = None
        self._dropped = 0
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Lay down a frame, over the one that nobody took; ignored once closed."""
        with self._changed:
            if self._closed:
                return
            self._dropped += self._frame is not None
            self._frame = frame
            self._changed.notify()

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """Wait for a frame and take it.

        Args:
            timeout_s: longest wait in seconds; None waits until a frame or the end.

        Returns:
            The newest frame, or None when the time is over or the slot is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._frame is not None, timeout_s)
            frame, self._frame = self._frame, None
            return frame

    def pause(self, seconds: float) -> None:
        """Sleep without taking anything, but wake at once when the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Wake every waiter; from here on `take` gives None."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the end has been called."""
        return self._closed

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before anybody took them."""
        return self._dropped
