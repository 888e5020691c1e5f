"""Work is done by threads, and by the one that would have to wait for them."""

from __future__ import annotations

from threading import Event, Timer, current_thread, main_thread

import pytest

from training.extraction.helpers import Helpers


def in_main_thread() -> bool:
    return current_thread() is main_thread()


def test_without_threads_work_is_done_at_once() -> None:
    with Helpers(0) as helpers:
        done = helpers.begin(in_main_thread)
        assert done.done() and done.result()
        assert not helpers.help()


def test_errors_are_those_of_the_work() -> None:
    with Helpers(1) as helpers:
        done = helpers.begin(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            helpers.wait(done)


def test_who_waits_does_what_no_thread_has_begun() -> None:
    begun, go_on = Event(), Event()

    def block() -> None:
        begun.set()
        assert go_on.wait(10)

    with Helpers(1) as helpers:
        first = helpers.begin(block)
        assert begun.wait(10)
        second = helpers.begin(in_main_thread)
        assert helpers.wait(second)
        go_on.set()
        assert helpers.wait(first) is None


def test_resting_takes_back_what_no_thread_has_begun() -> None:
    begun, go_on, done = Event(), Event(), []

    def block() -> None:
        begun.set()
        assert go_on.wait(10)
        done.append('first')

    with Helpers(1) as helpers:
        helpers.begin(block)
        assert begun.wait(10)
        helpers.begin(lambda: done.append('second'))
        Timer(0.5, go_on.set).start()  # in time for `rest`, which takes back before it waits
        helpers.rest()
        assert done == ['first']
        assert not helpers.help()
