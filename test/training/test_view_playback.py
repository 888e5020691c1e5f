"""The clock of `hrda view`: newest frame, drops, pause, speed, seek and end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.view.playback import Playback

TEN = np.arange(10) / 10


def playing(times_s: np.ndarray = TEN) -> Playback:
    """A playback whose first frame was taken at 100 s."""
    playback = Playback(times_s)
    playback.play(100.0)
    assert playback.take(100.0) == 0
    return playback


def test_frames_come_at_the_recorded_speed():
    playback = playing()
    assert playback.take(100.05) is None
    assert playback.wait_s(100.05) == pytest.approx(0.05)
    assert playback.take(100.101) == 1


def test_a_slow_taker_gets_the_newest_frame_and_the_others_are_counted():
    playback = playing()
    assert playback.take(100.55) == 5
    assert playback.dropped == 4


def test_every_frame_waits_for_a_slow_taker():
    playback = playing()
    playback.every_frame = True
    assert playback.take(100.55) == 1
    assert playback.take(100.6) is None
    assert playback.take(100.66) == 2
    assert playback.dropped == 0


@given(
    st.lists(st.floats(0.001, 0.5), min_size=2, max_size=40),
    st.lists(st.floats(0.001, 1.0), min_size=1, max_size=40),
    st.sampled_from([0.1, 1.0, 4.0]),
)
def test_every_frame_before_the_newest_was_taken_or_counted(gaps, works, speed):
    playback = playing(np.cumsum([0.0, *gaps]))
    playback.loop = False
    playback.set_speed(speed, 100.0)
    now_s, taken = 100.0, 1
    for work_s in works:
        now_s += work_s
        before = playback.index
        index = playback.take(now_s)
        if index is not None:
            assert index > before
            taken += 1
    assert taken + playback.dropped == playback.index + 1


def test_a_pause_holds_the_clock():
    playback = playing()
    playback.pause(100.05)
    assert playback.take(200.0) is None
    assert playback.wait_s(200.0) is None
    playback.play(200.0)
    assert playback.take(200.04) is None
    assert playback.take(200.06) == 1


def test_a_step_pauses_and_shows_the_neighbour():
    playback = playing()
    playback.step(1, 100.02)
    assert playback.take(100.02) == 1
    playback.step(-1, 100.03)
    playback.step(-1, 100.03)
    assert playback.take(100.04) == 0
    assert not playback.playing


def test_a_seek_goes_on_from_there():
    playback = playing()
    playback.seek(7)
    assert playback.take(100.01) == 7
    assert playback.take(100.12) == 8


def test_speed_counts_from_the_change_on():
    playback = playing()
    playback.set_speed(2.0, 100.05)
    assert playback.take(100.07) is None
    assert playback.take(100.08) == 1


@pytest.mark.parametrize('speed', [0.0, -1.0, float('nan'), 1e9])
def test_impossible_speeds_are_refused(speed):
    with pytest.raises(ValueError, match='speed'):
        playing().set_speed(speed, 100.0)


def test_a_loop_begins_again_after_the_last_frame_had_its_time():
    playback = playing()
    assert playback.take(100.95) == 9
    assert playback.take(100.99) is None
    assert playback.take(101.01) == 0


def test_without_loop_it_pauses_at_the_end_and_play_begins_anew():
    playback = playing()
    playback.loop = False
    assert playback.take(100.95) == 9
    assert playback.take(101.01) is None
    assert not playback.playing
    playback.play(102.0)
    assert playback.take(102.0) == 0


def test_a_single_image_is_shown_once():
    playback = Playback(np.zeros(1))
    playback.play(1.0)
    assert playback.take(1.0) == 0
    assert playback.take(9.0) is None
    assert not playback.playing
