"""Counts and rates of frames, without ROS."""

from __future__ import annotations

import time

from hrda_ros.statistics import FrameStatistics


def test_nothing_is_known_at_first() -> None:
    snapshot = FrameStatistics().snapshot()
    assert (snapshot.input_hz, snapshot.inference_ms, snapshot.age_ms) == (0.0, None, None)
    assert not snapshot.failing


def test_medians_and_totals() -> None:
    statistics = FrameStatistics()
    for inference_ms, age_ms in ((10.0, None), (30.0, 50.0), (20.0, 70.0)):
        statistics.count_received()
        statistics.count_processed(inference_ms, age_ms)
    snapshot = statistics.snapshot()
    assert (snapshot.inference_ms, snapshot.age_ms) == (20.0, 60.0)
    assert (snapshot.received, snapshot.processed, snapshot.failed) == (3, 3, 0)


def test_rates_forget_what_is_older_than_the_window() -> None:
    statistics = FrameStatistics(window_s=0.05)
    statistics.count_received()
    time.sleep(0.01)
    statistics.count_received()
    assert 20 < statistics.snapshot().input_hz <= 100
    time.sleep(0.06)
    assert statistics.snapshot().input_hz == 0.0


def test_a_failure_lasts_until_the_next_good_frame() -> None:
    statistics = FrameStatistics()
    statistics.count_failed('out of memory')
    assert statistics.snapshot().failing
    statistics.count_processed(1.0, None)
    snapshot = statistics.snapshot()
    assert (snapshot.failing, snapshot.failed, snapshot.last_error) == (False, 1, 'out of memory')
