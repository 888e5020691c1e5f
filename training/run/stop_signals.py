"""Signals that end a run in good order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Ctrl-C, what schedulers send before they kill, and Slurm's early warning (--signal=USR1@60)."""


class Stopped(Exception):
    """Somebody wants the work to end; its text is the name of the signal that told so."""


ECHO_S = 1.0
"""A SIGINT that soon after another signal is no second wish [s]."""


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
def interrupting(signals: Collection[signal.Signals] = STOP_SIGNALS) -> Iterator[None]:
    """Have signals raise KeyboardInterrupt at once, while nothing is made that has to be finished.

    Outside the main thread, which alone gets signals, the block does nothing.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, signal.default_int_handler) for n in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
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
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._since = signal.Signals(number).name, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._since > ECHO_S:
            raise KeyboardInterrupt
