"""Many topics of many recordings at once, in processes of their own, with one display."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

import cv2

from training.extraction.drive import extract_topic
from training.extraction.drive_topic import DriveTopic, Outcome
from training.extraction.settings import ExtractionSettings
from training.memory.freed import keep_freed_memory
from training.progress import Display
from training.run.stop_signals import STOP_SIGNALS, Stopped, StopSignals, withheld

_REPORT_EVERY_S = 0.2
_SAY_EVERY_S = 10.0
_GRACE_S = 10.0
"""So long may frames take that are being worked on when the work is ended."""
_MOST_HELPERS = 8
"""So many encoders are kept at work by one thread that reads raw frames."""
_PR_SET_PDEATHSIG = 1


def extract_all(
    parts: Sequence[DriveTopic],
    settings: ExtractionSettings,
    processes: int,
    display: Display,
    stop: StopSignals,
) -> list[Outcome]:
    """Extract topics, as many at a time as there are processes.

    Args:
        parts: what to extract.
        settings: how, and where to.
        processes: how many at most; with one, no other is started.
        display: shows frames over all parts.
        stop: ends the work early, with everything in place to go on.

    Returns:
        The outcome of each part.

    Raises:
        Stopped: a signal has ended it.
        ValueError: as of `extract_topic`, or a process died.
    """
    if not parts:
        return []
    keep_freed_memory()
    progress = _Progress(display, sum(part.count for part in parts), stop)
    # The longest first, so that no process is left alone with one at the end.
    order = sorted(range(len(parts)), key=lambda i: -parts[i].count)
    processes = min(processes, len(parts))
    helpers = helper_threads(processes)
    if processes > 1:
        done = _in_processes([parts[i] for i in order], settings, processes, helpers, progress)
    else:
        done = [extract_topic(parts[i], settings, progress.add, helpers) for i in order]
    return [outcome for _, outcome in sorted(zip(order, done, strict=True), key=lambda x: x[0])]


def helper_threads(processes: int) -> int:
    """Threads that pay in each of so many processes, beside the one that reads and helps, too."""
    cores = len(os.sched_getaffinity(0)) // processes
    return min(max(cores - 1, 0), _MOST_HELPERS)


class _Progress:
    """Frames that were dealt with, shown now and then.

    Args:
        display: where.
        total: how many there are.
        stop: tells that no more are wanted.
    """

    def __init__(self, display: Display, total: int, stop: StopSignals) -> None:
        self._display = display
        self._stop = stop
        self._total = total
        self._seen = 0
        self._start = self._shown = self._said = time.monotonic()
        display.begin('frames', total)

    def add(self, count: int) -> None:
        """Some more were dealt with; raises `Stopped` where that is enough."""
        self.check()
        self._seen += count
        now = time.monotonic()
        if now - self._shown > _REPORT_EVERY_S:
            self._shown = now
            self._display.advance(self._seen)
        if now - self._said > _SAY_EVERY_S:
            self._said = now
            rate = self._seen / (now - self._start)
            left_s = (self._total - self._seen) / rate if rate else 0.0
            self._display.figures(self._seen, self._total, {'frames/s': rate}, left_s)

    def check(self) -> None:
        """Raise `Stopped` after a signal."""
        if self._stop.received:
            raise Stopped(self._stop.received)


def _in_processes(
    parts: Sequence[DriveTopic],
    settings: ExtractionSettings,
    processes: int,
    helpers: int,
    progress: _Progress,
) -> list[Outcome]:
    context = multiprocessing.get_context('spawn')
    stop, seen = context.Event(), context.SimpleQueue()
    pool = ProcessPoolExecutor(processes, context, _enter, (stop, seen, os.getpid()))
    with withheld(STOP_SIGNALS):
        futures = [pool.submit(_work, part, settings, helpers) for part in parts]
    try:
        _follow(futures, seen, progress)
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        progress.check()  # signals to all processes reach some before they are prepared for it
        raise ValueError(
            'a process that extracts ended without a word, for want of memory or by the hook of '
            '--anonymise; run the same command again, with fewer --processes'
        ) from error
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        _end(futures)
        pool.shutdown()


def _end(futures: Sequence[Future[Outcome]]) -> None:
    """See the processes end; one whose hook hangs is killed, and nothing is lost by that."""
    try:
        left = wait(futures, timeout=_GRACE_S).not_done
    except KeyboardInterrupt:  # the second one: nobody wants to wait any longer
        left = set(futures)
    for process in multiprocessing.active_children() if left else ():
        process.kill()


def _follow(
    futures: Sequence[Future[Outcome]], seen: SimpleQueue[int], progress: _Progress
) -> None:
    """Show what the processes report, until all are done or one failed."""
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_REPORT_EVERY_S)
        progress.check()
        while not seen.empty():
            progress.add(seen.get())
        if any(future.exception() for future in done):
            return


class _Reporter:
    """Tells the first process how far this one is, and ends the work when asked to."""

    stop: Event
    seen: SimpleQueue[int]

    def __init__(self) -> None:
        self._count = 0
        self._told = time.monotonic()

    def add(self, count: int) -> None:
        self._count += count
        if time.monotonic() - self._told > _REPORT_EVERY_S:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        self.seen.put(self._count)
        self._count = 0
        if self.stop.is_set():
            raise Stopped


def _enter(stop: Event, seen: SimpleQueue[int], parent: int) -> None:
    """Prepare a process: signals to all are for the first one, which asks the others to stop."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    keep_freed_memory()
    cv2.setNumThreads(1)
    # Killed with the first process, so that nothing goes on writing behind its back (Linux).
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    _Reporter.stop, _Reporter.seen = stop, seen


def _work(part: DriveTopic, settings: ExtractionSettings, helpers: int) -> Outcome:
    reporter = _Reporter()
    outcome = extract_topic(part, settings, reporter.add, helpers)
    reporter.tell()
    return outcome
