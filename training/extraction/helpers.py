"""Threads that work beside the one that reads a recording."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar('T')


class Helpers:
    """Do work in threads, and in the thread that asks where it would have to wait for them.

    Leaving the block ends the threads; work that none has begun then is not done.

    Args:
        threads: how many; with 0 all work is done at once by the thread that asks.

    Attributes:
        ahead: so many pieces of work keep all threads busy; 0 without any.
    """

    def __init__(self, threads: int) -> None:
        self.ahead = threads + 1 if threads else 0
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._given: deque[tuple[Future[None], Callable[[], None]]] = deque()

    def __enter__(self) -> Helpers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Have a piece of work done; what it returns or raises is the future's."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        if self._pool is None:
            run()
            return done
        while self._given and self._given[0][0].done():
            self._given.popleft()
        self._given.append((self._pool.submit(run), run))
        return done

    def help(self) -> bool:
        """Do the oldest piece of work that no thread has begun; false without any."""
        while self._given:
            handed, run = self._given.popleft()
            if handed.cancel():
                run()
                return True
        return False

    def wait(self, done: Future[T]) -> T:
        """What a piece of work returns or raises; others are done until it is there."""
        while not done.done() and self.help():
            pass
        return done.result()

    def rest(self) -> None:
        """Take back what no thread has begun, and wait for what they have."""
        given: list[Future[Any]] = [handed for handed, _ in self._given if not handed.cancel()]
        self._given.clear()
        for handed in given:
            handed.result()
