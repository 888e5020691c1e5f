"""Signals that end a run in good order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Ctrl-C, what schedulers send before they kill, and Slurm's early warning (--signal=USR1@60)."""
ECHO_S = 1.0
"""A SIGINT that soon after another signal is no second wish [s]."""


class Stopped(Exception):
    """Somebody wants the work to end; its text is the name of the signal that told so."""


@contextmanager
def withheld(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Start processes in the block that never get some signals, unless they unblock them.

    What they would say of a Ctrl-C while they are still importing is of no use to anybody. This
    process loses none: it gets them when the block ends, or at once by another thread.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def interrupting() -> Iterator[None]:
    """Have stop signals raise KeyboardInterrupt at once, while there is nothing to be finished.

    Outside the main thread, which alone gets signals, the block does nothing.
    """
    before = _handled_by(signal.default_int_handler)
    try:
        yield
    finally:
        _restore(before)


def _handled_by(handler: Callable[[int, FrameType | None], Any]) -> dict[int, Any]:
    """Give stop signals to a handler, and say who had them; outside the main thread nothing."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {int(number): signal.signal(number, handler) for number in STOP_SIGNALS}


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


class StopSignals:
    """Turns the first of these signals within the block into a wish to stop.

    A further SIGINT interrupts at once. Others change nothing, since schedulers repeat themselves,
    and so does an echo: torchrun passes the Ctrl-C on that its processes have had already.
    Outside the main thread, which alone gets signals, the block does nothing.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        self._previous = _handled_by(self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _restore(self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._since = signal.Signals(number).name, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._since > ECHO_S:
            raise KeyboardInterrupt
