"""Work ahead of its use: order, errors, and ending early."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from training.ahead import ahead


def test_items_come_in_order_from_another_thread() -> None:
    def work() -> Generator[tuple[int, str], None, None]:
        for number in range(50):
            yield number, threading.current_thread().name

    found = list(ahead(work(), 3))
    assert [number for number, _ in found] == list(range(50))
    assert {name for _, name in found} != {threading.current_thread().name}


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def work() -> Generator[int, None, None]:
        yield 1
        raise OSError('the disk is gone')

    items = ahead(work(), 3)
    assert next(items) == 1
    with pytest.raises(OSError, match='the disk is gone'):
        next(items)


def test_ending_early_ends_the_work() -> None:
    made, ended = [], []

    def work() -> Generator[int, None, None]:
        try:
            for number in range(1000):
                made.append(number)
                yield number
        finally:
            ended.append(threading.current_thread().name)

    items = ahead(work(), 2)
    assert next(items) == 0
    items.close()
    assert len(made) <= 5
    assert ended and ended != [threading.current_thread().name]
