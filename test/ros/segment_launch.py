"""What launch_testing runs: segment.launch.py with a checkpoint, a camera, and a clean end.

python -m launch_testing.launch_test segment_launch.py checkpoint:=model.safetensors
"""

from __future__ import annotations

import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch
import launch_testing
import numpy as np
import rclpy
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_testing.actions import ReadyToTest
from sensor_msgs.msg import Image

SEGMENT = Path(__file__).resolve().parents[2] / 'launch' / 'segment.launch.py'
TIMEOUT_S = 60.0
HEIGHT, WIDTH = 64, 96


def generate_test_description() -> launch.LaunchDescription:
    """The launch file as a user starts it."""
    arguments = {
        'checkpoint': LaunchConfiguration('checkpoint'),
        'image': '/front/image_raw',
        'namespace': 'robot',
        'python': sys.executable,
        'device': 'cpu',
        'overlay_alpha': '1',
    }
    return launch.LaunchDescription(
        [
            DeclareLaunchArgument('checkpoint', description='Model file (.safetensors)'),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SEGMENT)), launch_arguments=arguments.items()
            ),
            ReadyToTest(),
        ]
    )


class TestWhileRunning(unittest.TestCase):
    """A camera publishes; the labels come back under its headers."""

    def setUp(self) -> None:
        rclpy.init()
        self.peer = rclpy.create_node('peer')

    def tearDown(self) -> None:
        self.peer.destroy_node()
        rclpy.shutdown()

    def spin_until(self, condition: Callable[[], Any], what: str) -> None:
        """Run callbacks until the condition holds."""
        end_s = time.monotonic() + TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), end_s, f'{what} did not happen')
            rclpy.spin_once(self.peer, timeout_sec=0.05)

    def publish_until_labelled(self, camera: Any, image: Image, labels: list[Image]) -> None:
        """Publish an image again and again, as a camera does, until its label arrives.

        The node may not know these endpoints yet although they know the node's.
        """

        def is_labelled_after_another() -> bool:
            camera.publish(image)
            rclpy.spin_once(self.peer, timeout_sec=0.1)
            return any(label.header == image.header for label in labels)

        self.spin_until(is_labelled_after_another, 'a label')

    def test_labels_carry_the_headers_of_the_images(self) -> None:
        labels: list[Image] = []
        self.peer.create_subscription(Image, '/robot/segmentation/label', labels.append, 10)
        camera = self.peer.create_publisher(Image, '/front/image_raw', 1)
        self.spin_until(camera.get_subscription_count, 'a subscription of the node')
        self.spin_until(
            lambda: self.peer.count_publishers('/robot/segmentation/label'), 'a publisher'
        )
        sent = []
        for second in (100, 200):
            image = Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=3 * WIDTH)
            image.header.frame_id, image.header.stamp.sec = 'front_optical_frame', second
            image.header.stamp.nanosec = 7
            image.data.frombytes(np.full((HEIGHT, WIDTH, 3), second, np.uint8).tobytes())
            sent.append(image.header)
            self.publish_until_labelled(camera, image, labels)
        headers = [label.header for label in labels]
        self.assertEqual([h for i, h in enumerate(headers) if h not in headers[:i]], sent)
        self.assertEqual({(m.height, m.width, m.encoding) for m in labels}, {(64, 96, 'mono8')})


@launch_testing.post_shutdown_test()
class TestAfterSigint(unittest.TestCase):
    """launch ends its processes with SIGINT."""

    def test_every_process_ends_with_0(self, proc_info: Any) -> None:
        self.assertEqual(len(list(proc_info)), 1)
        launch_testing.asserts.assertExitCodes(proc_info, [0])

    def test_no_traceback_was_printed(self, proc_output: Any) -> None:
        text = ''.join(line.text.decode() for line in proc_output)
        self.assertIn('/front/image_raw [raw] -> /robot/segmentation/label', text)
        self.assertNotIn('Traceback', text)
