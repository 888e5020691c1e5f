"""ROS graphs for the tests: one domain per run, this host only, node and peer in one process."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros.tiny_segmenter import TinySegmenter

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 15.0
NO_ROS = (
    'rclpy is missing: source a ROS 2 installation, or install the extra ros-wheels '
    '(ros-jazzy-rclpy, ros-jazzy-rmw-fastrtps-cpp, ros-jazzy-sensor-msgs, ...)'
)


@pytest.fixture(scope='session')
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of every process of this run: a random domain that nobody else is in."""
    pytest.importorskip('rclpy', reason=NO_ROS)
    values = {
        'ROS_DOMAIN_ID': str(random.SystemRandom().randint(1, 101)),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(tmp_path_factory.mktemp('log')),
        'PYTHONPATH': os.pathsep.join(
            [str(ROOT), str(ROOT / 'test'), os.environ.get('PYTHONPATH', '')]
        ).rstrip(os.pathsep),
        'OMP_NUM_THREADS': '1',
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield {**os.environ, **values}


class Graph:
    """A context with an executor; spins only while a test waits."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.peer = rclpy.create_node('peer', context=self.context)
        self.executor.add_node(self.peer)
        self._closers: list[Callable[[], None]] = [self.peer.destroy_node]

    def start_node(
        self,
        segmenter: TinySegmenter | None = None,
        make: Callable[[Any], TinySegmenter] | None = None,
        check: Callable[[str], None] = lambda checkpoint: None,
        **parameters: Any,
    ) -> Any:
        """The segmentation node with a tiny segmenter (or what makes one) and parameters."""
        from rclpy.parameter import Parameter

        from hrda_ros.segmentation_node import SegmentationNode

        node = SegmentationNode(
            make or (lambda _: segmenter or TinySegmenter()),
            check,
            context=self.context,
            parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()],
        )
        self.executor.add_node(node)
        self._closers.append(node.close)
        return node

    def camera(self, reliability: str = 'reliable', topic: str = 'image', kind: Any = None) -> Any:
        """A publisher of images that the node listens to."""
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import Image

        policy = ReliabilityPolicy[reliability.upper()]
        publisher = self.peer.create_publisher(
            kind or Image, topic, QoSProfile(depth=5, reliability=policy)
        )
        self.spin_until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def listen(self, topic: str, kind: Any = None, timeout_s: float = TIMEOUT_S) -> list[Any]:
        """Messages that arrive on a topic from now on, once it is published."""
        from sensor_msgs.msg import Image

        received: list[Any] = []
        subscription = self.peer.create_subscription(kind or Image, topic, received.append, 10)
        self.spin_until(lambda: self.peer.count_publishers(subscription.topic_name) > 0, timeout_s)
        return received

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> None:
        """Run callbacks until the condition holds; fails after the timeout."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, 'the awaited did not happen'
            self.executor.spin_once(timeout_sec=0.02)

    def publish_until(
        self,
        condition: Callable[[], Any],
        publisher: Any,
        message: Any,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Publish a message again and again, as a camera does, until the condition holds.

        A node of another process may not know this one's endpoints yet although they know the
        node's: what is published once may be lost.
        """

        def holds_after_another() -> Any:
            publisher.publish(message)
            self.spin_for(0.1)
            return condition()

        self.spin_until(holds_after_another, timeout_s)

    def spin_for(self, seconds: float) -> None:
        """Run callbacks for some time."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """Destroy everything that was started."""
        import rclpy

        for close in reversed(self._closers):
            close()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def graph(ros_environment: dict[str, str]) -> Iterator[Graph]:
    """A ROS graph in this process."""
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture
def start_process(
    ros_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a Python script with arguments; its output is read with communicate()."""
    processes: list[subprocess.Popen[str]] = []

    def start(script: Path, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=ros_environment,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


@pytest.fixture
def make_image(ros_environment: dict[str, str]) -> Callable[..., Any]:
    """Build a sensor_msgs/Image from an array, with a header that is easy to recognise."""
    from sensor_msgs.msg import Image

    def make(pixels: Any, encoding: str = 'rgb8', padding: int = 0) -> Image:
        height, width = pixels.shape[:2]
        rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
        rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
        message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
        message.header.frame_id = 'front_optical_frame'
        message.header.stamp.sec, message.header.stamp.nanosec = 1_700_000_123, 987_654_321
        message.data.frombytes(rows.tobytes())
        return message

    return make


@pytest.fixture
def picture() -> Any:
    """A random RGB picture of 96x160 that the tiny segmenter accepts."""
    pixels = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    pixels[0, 0, 0] = 7
    return pixels
