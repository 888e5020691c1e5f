"""`hrda bench node` with real processes: camera, timed node and reader."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')
pytest.importorskip('rosbags', reason='the camera plays a bag')

from training.benchmark.node_figures import figures_of
from training.benchmark.node_runs import Bench, NodeRun, write_camera


def test_all_frames_are_timed_and_read(tmp_path: Path) -> None:
    bag = write_camera(tmp_path / 'camera', (96, 64), 20.0)
    topics = ('/segmentation/label', '/segmentation/confidence')
    said: list[str] = []
    noted = Bench(Path(sys.executable), tmp_path, bag, 20.0).measure(
        NodeRun('short, as a test', topics, 4.0), said.append
    )
    figures = figures_of(noted)
    assert 10 < figures.out_hz < 25
    assert 0 < figures.overhead_ms < figures.late_most_ms
    assert figures.delivered.keys() == set(topics)
    assert min(figures.delivered.values()) > 0.9
    assert figures.rss_mb > 20
    assert (tmp_path / 'short_as_a_test' / 'segment_timed.log').is_file()
