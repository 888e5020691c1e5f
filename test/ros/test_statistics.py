"""Counts and rates of frames, without ROS."""

from __future__ import annotations

import time

from hrda_ros.statistics import MODEL_FAILED, FrameResult, FrameStatistics


def test_nothing_is_known_at_first() -> None:
    snapshot = FrameStatistics().snapshot()
    assert (snapshot.input_hz, snapshot.inference_ms, snapshot.age_ms) == (0.0, None, None)
    assert (snapshot.windows, snapshot.failing) == (None, '')


def test_medians_and_totals() -> None:
    statistics = FrameStatistics()
    for inference_ms, age_ms in ((10.0, None), (30.0, 50.0), (20.0, 70.0)):
        statistics.count_received()
        statistics.count_processed(FrameResult(inference_ms, age_ms, (int(inference_ms), 40)))
    snapshot = statistics.snapshot()
    assert (snapshot.inference_ms, snapshot.age_ms) == ((20.0, 30.0, 30.0), (60.0, 70.0))
    assert snapshot.windows == (20.0, 40.0)
    assert (snapshot.received, snapshot.processed) == (3, 3)
    assert not any(snapshot.dropped.values())


def test_percentiles_are_times_that_occurred() -> None:
    statistics = FrameStatistics()
    for inference_ms in range(200, 0, -1):
        statistics.count_processed(FrameResult(inference_ms))
    assert statistics.snapshot().inference_ms == (100, 190, 198)


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
    statistics.count_dropped(MODEL_FAILED, 'out of memory')
    assert statistics.snapshot().failing == MODEL_FAILED
    statistics.count_processed(FrameResult(1.0))
    snapshot = statistics.snapshot()
    assert (snapshot.failing, snapshot.last_error) == ('', 'out of memory')
    assert snapshot.dropped == {'undecodable': 0, 'model_failed': 1, 'stale': 0}
    assert snapshot.lately_dropped == 1


def test_what_is_lately_dropped_is_forgotten() -> None:
    statistics = FrameStatistics(window_s=0.02)
    statistics.count_dropped(MODEL_FAILED, 'out of memory')
    time.sleep(0.03)
    assert statistics.snapshot().lately_dropped == 0
