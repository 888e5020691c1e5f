"""Plays a recording through a network, in a thread of its own, for as long as somebody looks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any

import numpy as np

from hrda_core.classes import Uint8Array
from hrda_core.results import Segmentation
from hrda_core.segmenter import Segmenter
from training.view.playback import Playback
from training.view.recordings import Cursor, Recording

REMEMBERED = 100
"""Frames that the percentiles of the latency are of."""
RATE_WINDOW_S = 10.0


@dataclass(frozen=True)
class Shown:
    """A frame and what the network says of it.

    Attributes:
        index: its number, from 0.
        image: uint8 (H, W, 3) RGB.
        segmentation: labels, confidence and how they came to be.
    """

    index: int
    image: Uint8Array
    segmentation: Segmentation


class Player:
    """Reads, segments and hands on the newest frame that is due.

    While nobody looks, the clock stands still and nothing is computed.

    Args:
        recording: what is played.
        segmenter: the network.
        show: gets every result, in the thread of the player.
        changed: told in the same thread when `state` says something new.
    """

    def __init__(
        self,
        recording: Recording,
        segmenter: Segmenter,
        show: Callable[[Shown], None],
        changed: Callable[[], None],
    ) -> None:
        self._cursor, self._segmenter = Cursor(recording), segmenter
        self._show, self._changed = show, changed
        self._playback = Playback(recording.times_s)
        self._playback.play(time.monotonic())
        self._news = Condition()
        self._watched = self._closed = self._resume = False
        self._latencies_ms: deque[float] = deque(maxlen=REMEMBERED)
        self._ended_s: deque[float] = deque(maxlen=REMEMBERED)
        self._shown = self._failed = 0
        self._problem = ''
        self._thread = Thread(target=self._run, name='player')

    def start(self) -> None:
        """Begin to play once somebody looks."""
        self._thread.start()

    def close(self) -> None:
        """End; waits for the frame that is in work."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()

    def watch(self, watched: bool) -> None:
        """Tell whether anybody looks."""
        with self._news:
            now_s = time.monotonic()
            if not watched and self._watched:
                self._resume = self._playback.playing
                self._playback.pause(now_s)
            elif watched and not self._watched and self._resume:
                self._playback.play(now_s)
            self._watched = watched
            self._news.notify()

    def change(self, action: Callable[[Playback, float], None]) -> None:
        """Do something to the playback, such as `lambda playback, now_s: playback.pause(now_s)`.

        Errors of the action are those of the call.
        """
        with self._news:
            action(self._playback, time.monotonic())
            self._news.notify()

    def state(self) -> dict[str, Any]:
        """How the playback stands, in plain values; times in ms, None where nothing is known."""
        with self._news:
            playback = self._playback
            latencies = np.array(self._latencies_ms)
            p50, p95 = np.percentile(latencies, [50, 95]) if len(latencies) else (None, None)
            return {
                'index': playback.index,
                'playing': playback.playing,
                'speed': playback.speed,
                'every_frame': playback.every_frame,
                'loop': playback.loop,
                'dropped': playback.dropped,
                'shown': self._shown,
                'failed': self._failed,
                'problem': self._problem,
                'p50_ms': p50,
                'p95_ms': p95,
                'hz': self._rate_hz(time.monotonic()),
            }

    def _rate_hz(self, now_s: float) -> float | None:
        times = [ended_s for ended_s in self._ended_s if now_s - ended_s <= RATE_WINDOW_S]
        if len(times) < 2:
            return None
        return (len(times) - 1) / (times[-1] - times[0])

    def _run(self) -> None:
        while (index := self._wait()) is not None:
            try:
                image = self._cursor.read(index)
                shown = Shown(index, image, self._segmenter.segment(image))
            except (ValueError, OSError, RuntimeError) as error:  # out of memory is one of these
                self._note_failure(f'frame {index + 1}: {error}')
            else:
                self._note(shown.segmentation.milliseconds)
                self._show(shown)
            self._changed()

    def _wait(self) -> int | None:
        """Number of the next frame, when it is due; None at the end."""
        with self._news:
            while not self._closed:
                now_s, playing = time.monotonic(), self._playback.playing
                index = self._playback.take(now_s) if self._watched else None
                if index is not None:
                    return index
                if playing != self._playback.playing:
                    self._changed()
                self._news.wait(self._playback.wait_s(now_s) if self._watched else None)
            return None

    def _note(self, milliseconds: float) -> None:
        with self._news:
            self._shown += 1
            self._problem = ''
            self._latencies_ms.append(milliseconds)
            self._ended_s.append(time.monotonic())

    def _note_failure(self, problem: str) -> None:
        with self._news:
            self._failed += 1
            self._problem = problem
