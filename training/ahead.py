"""Work that is done ahead of its use, in a thread of its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar('T')
_POLL_S = 0.1


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """Hand items on, while a thread makes up to `depth` more; their errors are raised here.

    The generator runs in that thread alone, its end included. Work that releases the interpreter
    (reading, decoding, compressing) then costs the caller no time.
    """
    queue: Queue[T | _Failure | None] = Queue(depth)
    stopped = Event()

    def put(item: T | _Failure | None) -> bool:
        while not stopped.is_set():
            try:
                queue.put(item, timeout=_POLL_S)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    if not put(item):
                        return
        except BaseException as error:
            put(_Failure(error))
        put(None)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stopped.set()
        thread.join()
