"""Encoding, hashing and writing frames, in threads where there are any."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from training.extraction.frame_writer import StagedFrame
from training.extraction.pictures import Picture, Uint8Array

_TOGETHER_BYTES = 1 << 20
"""Frames of this size go to a thread together: handing one over costs as much as its hash."""
_WAITING = 2
"""Tasks that are kept before each thread; the thread that reads does further ones itself."""
Made = Picture | Uint8Array
"""A picture, or uint8 (H, W, 3) BGR that is still to be encoded."""


class _Task(NamedTuple):
    made: Made
    number: int
    done: Future[StagedFrame]


class Stager:
    """Stages frames, some at a time, in threads; what is too much for them, in the one that asks.

    Args:
        stage: encodes, hashes and writes a frame, given its number.
        threads: how many help; with 0 each frame is staged at once.
    """

    def __init__(self, stage: Callable[[Made, int], StagedFrame], threads: int) -> None:
        self._stage = stage
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._most = _WAITING * threads
        self._handed: list[Future[None]] = []
        self._numbers = itertools.count()
        self._open: list[_Task] = []
        self._open_bytes = 0

    def begin(self, made: Made, size: int) -> Future[StagedFrame]:
        """Take a frame of so many bytes; errors of staging are those of the result."""
        task = _Task(made, next(self._numbers), Future())
        self._open.append(task)
        self._open_bytes += size
        if self._pool is None or self._open_bytes >= _TOGETHER_BYTES:
            self.hand_over()
        return task.done

    def hand_over(self) -> None:
        """Wait for no more frames to go with those that were taken."""
        tasks, self._open, self._open_bytes = self._open, [], 0
        self._handed = [handed for handed in self._handed if not handed.done()]
        if self._pool is None or len(self._handed) >= self._most:
            self._work(tasks)
        elif tasks:
            self._handed.append(self._pool.submit(self._work, tasks))

    def _work(self, tasks: Sequence[_Task]) -> None:
        for made, number, done in tasks:
            try:
                done.set_result(self._stage(made, number))
            except BaseException as error:
                done.set_exception(error)

    def close(self) -> None:
        """Wait for what was handed over."""
        if self._pool is not None:
            self._pool.shutdown()
