"""The one-place slot: newest wins, drops are counted, waiting ends."""

from __future__ import annotations

import time
from threading import Thread

from hrda_ros.latest_frame import LatestFrame


def test_newest_frame_wins_and_the_others_are_counted() -> None:
    slot: LatestFrame[int] = LatestFrame()
    for frame in range(5):
        slot.put(frame)
    assert slot.take(0) == 4
    assert slot.dropped == 4


def test_a_frame_is_taken_once() -> None:
    slot: LatestFrame[int] = LatestFrame()
    slot.put(1)
    assert [slot.take(0), slot.take(0)] == [1, None]
    assert slot.dropped == 0


def test_a_waiting_taker_gets_the_frame() -> None:
    slot: LatestFrame[str] = LatestFrame()
    taken: list[str | None] = []
    thread = Thread(target=lambda: taken.append(slot.take()))
    thread.start()
    slot.put('frame')
    thread.join(5)
    assert taken == ['frame']


def test_closing_wakes_takers_and_sleepers() -> None:
    slot: LatestFrame[int] = LatestFrame()
    threads = [Thread(target=slot.take), Thread(target=slot.pause, args=(60.0,))]
    for thread in threads:
        thread.start()
    slot.close()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


def test_nothing_goes_into_a_closed_slot() -> None:
    slot: LatestFrame[int] = LatestFrame()
    slot.put(1)
    slot.close()
    slot.put(2)
    assert slot.closed
    assert slot.take(0) is None


def test_pause_takes_nothing_and_lasts() -> None:
    slot: LatestFrame[int] = LatestFrame()
    slot.put(1)
    start_s = time.monotonic()
    slot.pause(0.05)
    assert time.monotonic() - start_s >= 0.04
    assert slot.take(0) == 1
