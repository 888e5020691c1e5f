"""The one-place slots: newest wins, drops are counted, turns are fair, waiting ends."""

from __future__ import annotations

import time
from threading import Condition, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrda_ros import latest_frame
from hrda_ros.latest_frame import LATE, RHYTHM, LatestFrame, Turns


def make(count: int = 1) -> tuple[list[LatestFrame[int]], Turns[int]]:
    """Slots that share a worker."""
    changed = Condition()
    slots: list[LatestFrame[int]] = [LatestFrame(changed) for _ in range(count)]
    return slots, Turns(slots, changed)


def test_newest_frame_wins_and_the_others_are_counted() -> None:
    [slot], turns = make()
    for frame in range(5):
        slot.put(frame)
    assert turns.take() == [(0, 4)]
    assert slot.dropped == 4


def test_a_frame_is_taken_once() -> None:
    [slot], turns = make()
    slot.put(1)
    turns.take()
    slot.put(2)
    assert turns.take() == [(0, 2)]
    assert slot.dropped == 0


def test_a_waiting_taker_gets_the_frame() -> None:
    [slot], turns = make()
    taken: list[list[tuple[int, int]] | None] = []
    thread = Thread(target=lambda: taken.append(turns.take()))
    thread.start()
    slot.put(7)
    thread.join(5)
    assert taken == [[(0, 7)]]


def test_closing_wakes_the_taker_even_from_a_rest() -> None:
    slots, turns = make(2)
    slots[0].put(1)
    slots[0].rest(time.monotonic() + 60)
    thread = Thread(target=turns.take)
    thread.start()
    for slot in slots:
        slot.close()
    thread.join(5)
    assert not thread.is_alive()


def test_nothing_goes_into_a_closed_slot() -> None:
    [slot], turns = make()
    slot.put(1)
    slot.close()
    slot.put(2)
    assert slot.closed
    assert turns.take() is None


def test_a_resting_slot_gives_its_newest_frame_afterwards() -> None:
    [slot], turns = make()
    start_s = time.monotonic()
    slot.rest(start_s + 0.05)
    slot.put(1)
    slot.put(2)
    assert turns.take() == [(0, 2)]
    assert time.monotonic() - start_s >= 0.05


def test_a_resting_slot_holds_up_no_other() -> None:
    slots, turns = make(2)
    slots[0].rest(time.monotonic() + 60)
    slots[0].put(1)
    slots[1].put(2)
    assert turns.take() == [(1, 2)]


def test_frames_that_are_alike_go_together_up_to_the_most() -> None:
    slots, turns = make(4)
    for number, frame in enumerate((10, 21, 12, 14)):
        slots[number].put(frame)
    assert turns.take(2, lambda _, frame: frame // 10) == [(0, 10), (2, 12)]
    assert turns.take(2, lambda _, frame: frame // 10) == [(1, 21)]
    assert turns.take(2, lambda _, frame: frame // 10) == [(3, 14)]


def test_a_resting_slot_is_not_waited_for() -> None:
    slots, turns = make(3)
    slots[0].put(1)
    slots[1].put(2)
    slots[1].rest(time.monotonic() + 60)
    assert turns.take(3, lambda number, frame: None) == [(0, 1)]


class Clock:
    """Stands where it is put [s]."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def in_rhythm(clock: Clock, frames: int = RHYTHM) -> tuple[list[LatestFrame[int]], Turns[int]]:
    """Two slots: the first got frames 0, 1, 2, ... every 30 ms until now, the second 99."""
    slots, turns = make(2)
    for frame in range(frames):
        clock.now_s = 0.03 * frame
        slots[0].put(frame)
    slots[1].put(99)
    return slots, turns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(latest_frame, 'time', clock)
    return clock


@pytest.mark.parametrize(
    ('waited_ms', 'within_ms', 'is_left'),
    [
        (20, 17, True),
        (5, 30, True),
        (2, 30, False),
        (20, 5, False),
        (20, 0, False),
        (40, 17, False),
    ],
)
def test_a_frame_is_left_for_the_next_if_that_is_due_soon(
    clock: Clock, waited_ms: float, within_ms: float, is_left: bool
) -> None:
    slots, turns = in_rhythm(clock)
    clock.now_s += waited_ms / 1e3
    slots[0].expect_newer(within_ms / 1e3)
    assert turns.take() == ([(1, 99)] if is_left else [(0, RHYTHM - 1)])


def test_the_expected_frame_is_taken_when_it_comes(clock: Clock) -> None:
    slots, turns = in_rhythm(clock)
    clock.now_s += 0.02
    slots[0].expect_newer(0.017)
    slots[0].put(RHYTHM)
    assert turns.take() == [(0, RHYTHM)]


def test_an_expected_frame_that_does_not_come_is_given_up(clock: Clock) -> None:
    slots, turns = in_rhythm(clock)
    clock.now_s += 0.02
    slots[0].expect_newer(0.017)
    clock.now_s += 0.01 + 0.03 * LATE + 1e-6
    assert turns.take() == [(0, RHYTHM - 1)]


def test_without_a_rhythm_nothing_is_expected(clock: Clock) -> None:
    slots, turns = in_rhythm(clock, RHYTHM - 1)
    clock.now_s += 0.02
    slots[0].expect_newer(0.017)
    assert turns.take() == [(0, RHYTHM - 2)]


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=20))
def test_no_camera_waits_for_more_than_one_frame_of_each_other(arrivals: list[list[bool]]) -> None:
    slots, turns = make(3)
    overtaken = [0, 0, 0]
    for frames in arrivals:
        for number, arrives in enumerate(frames):
            if arrives:
                slots[number].put(number)
        waiting = [n for n, slot in enumerate(slots) if slot._frame is not None]
        if waiting:
            taken = turns.take()
            assert taken is not None
            assert taken[0][0] in waiting
            overtaken = [
                count + 1 if n in waiting and n != taken[0][0] else 0
                for n, count in enumerate(overtaken)
            ]
            assert max(overtaken) < len(slots)
