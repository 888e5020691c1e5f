"""The clock of a recording: which frame is due, however slow the one who shows it is. No threads.

All times are those of a steady clock that the caller reads [s].
"""

from __future__ import annotations

import numpy as np

from training.view.recordings import Seconds, mean_interval_s

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Playback:
    """Chooses the newest frame that is due, and counts those that were passed over.

    Args:
        times_s: of the frames, from 0, never falling [s].

    Attributes:
        index: number of the frame that was taken last, from 0; -1 before the first.
        playing: whether the clock runs.
        speed: seconds of the recording per second.
        every_frame: wait for whoever is slow instead of passing frames over.
        loop: begin again after the last frame.
        dropped: frames passed over so far.
    """

    def __init__(self, times_s: Seconds) -> None:
        self._times_s = times_s
        self._end_s = float(times_s[-1]) + mean_interval_s(times_s)
        self._wanted: int | None = 0
        self._media_s = self._since_s = 0.0
        self.index = -1
        self.playing = False
        self.speed = 1.0
        self.every_frame = False
        self.loop = True
        self.dropped = 0

    def play(self, now_s: float) -> None:
        """Let the clock run; from the beginning where it stood at the end."""
        if self.playing or len(self._times_s) == 1:
            return
        if self.index == len(self._times_s) - 1 and self._wanted is None:
            self._wanted = 0
        self.playing, self._since_s = True, now_s

    def pause(self, now_s: float) -> None:
        """Hold the clock."""
        self._media_s, self._since_s = self._position(now_s), now_s
        self.playing = False

    def set_speed(self, speed: float, now_s: float) -> None:
        """Change how fast the clock runs.

        Raises:
            ValueError: the speed is outside 0..100.
        """
        if not 0 < speed <= 100:
            raise ValueError(f'speed {speed} is outside 0..100')
        self._media_s, self._since_s = self._position(now_s), now_s
        self.speed = speed

    def seek(self, index: int) -> None:
        """Go to a frame, or to the nearest there is."""
        self._wanted = min(max(index, 0), len(self._times_s) - 1)

    def step(self, frames: int, now_s: float) -> None:
        """Pause, and go on or back by some frames."""
        self.pause(now_s)
        self.seek((self.index if self._wanted is None else self._wanted) + frames)

    def take(self, now_s: float) -> int | None:
        """Number of the frame to show now; None if the last one taken is still the newest."""
        if self._wanted is not None:
            index, self._wanted = self._wanted, None
            return self._go_to(index, now_s)
        if not self.playing:
            return None
        position_s = self._position(now_s)
        due = int(np.searchsorted(self._times_s, position_s, 'right')) - 1
        if due <= self.index:
            return self._at_end(now_s) if position_s >= self._end_s else None
        if self.every_frame:
            return self._go_to(self.index + 1, now_s)
        self.dropped += due - self.index - 1
        self.index = due
        return due

    def wait_s(self, now_s: float) -> float | None:
        """How long nothing will be due [s]; None for ever, unless something is changed."""
        if self._wanted is not None:
            return 0.0
        if not self.playing:
            return None
        last = self.index + 1 >= len(self._times_s)
        next_s = self._end_s if last else float(self._times_s[self.index + 1])
        return max(next_s - self._position(now_s), 0.0) / self.speed

    def _position(self, now_s: float) -> float:
        """Time of the recording [s]."""
        running = (now_s - self._since_s) * self.speed if self.playing else 0.0
        return self._media_s + running

    def _go_to(self, index: int, now_s: float) -> int:
        self.index = index
        self._media_s, self._since_s = float(self._times_s[index]), now_s
        return index

    def _at_end(self, now_s: float) -> int | None:
        if self.loop:
            return self._go_to(0, now_s)
        self.pause(now_s)
        return None
