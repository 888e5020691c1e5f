"""The node `cloud_painter`: a point cloud in, the same with the camera's labels on it out."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String

from hrda_ros.cloud_geometry import paint, transform
from hrda_ros.cloud_message import camera_model, label_pixels, painted_cloud, read_cloud
from hrda_ros.image_input import POLL_PERIOD_S, choose_reliability, steady_clock
from hrda_ros.label_info import LATCHED_QOS
from hrda_ros.outputs import IMAGE_QOS
from hrda_ros.pairing import Pairing
from hrda_ros.parameters import NodeParameters
from hrda_ros.qos_overrides import create_publisher
from hrda_ros.settings import describe, setting, table_of
from hrda_ros.spinning import run_node
from hrda_ros.stream_watch import stamp_ns
from hrda_ros.transforms import FixedTransform, LateTransformError, TfTransforms, Transforms

THROTTLE_S = 5.0
SILENCE_S = 5.0
PATIENCE_S = 0.5
"""Clouds wait for tf that long: odometry is told after the moment that it is of."""
RETRY_PERIOD_S = 0.05
MOST_WAITING = 20


@dataclass(frozen=True)
class PainterSettings:
    """Values of the node's parameters; all need a restart."""

    tolerance_ms: float = setting(
        50.0,
        'Largest difference between the stamps of a cloud and of the labels on it [ms]',
        bounds=(0.0, 10000.0),
    )
    rectified: bool = setting(
        False, 'Whether the labels are of rectified images: P of CameraInfo, no distortion'
    )
    fixed_frame: str = setting(
        '', 'Frame that stands still, e.g. odom, to make up for motion between the two stamps'
    )
    points_to_camera: str = setting(
        '',
        'Pose of the cloud in the optical frame of the camera, instead of tf: x y z qx qy qz qw',
    )


class CloudPainter(Node):
    """Paints labels and class colours on the points that the camera saw.

    Topics: `points`, `label`, `label_info_json` and `camera_info` in, `~/points` out; it works
    only while somebody listens. Points outside the image or behind the camera get 255. What a
    point is hidden by is not known: it gets the label of what the camera sees in its direction.

    Args:
        node_options: passed on to rclpy's Node.

    Raises:
        StartError: a parameter's value is refused, or tf2_ros is missing.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            'cloud_painter', automatically_declare_parameters_from_overrides=True, **node_options
        )
        settings = NodeParameters(self, PainterSettings).read()
        self._rectified = settings.rectified
        self._transforms: Transforms = (
            FixedTransform(settings.points_to_camera)
            if settings.points_to_camera
            else TfTransforms(self, settings.fixed_frame)
        )
        self._pairing: Pairing[PointCloud2, Image] = Pairing(int(settings.tolerance_ms * 1e6))
        self._waiting: deque[tuple[float, PointCloud2, Image]] = deque(maxlen=MOST_WAITING)
        self._info: CameraInfo | None = None
        self._palette: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        self._painted_s = time.monotonic()
        self._publisher = create_publisher(self, PointCloud2, '~/points', IMAGE_QOS)
        self._policy = ReliabilityPolicy.BEST_EFFORT
        self._subscribe()
        self.create_timer(POLL_PERIOD_S, self._poll, clock=steady_clock())
        self.create_timer(RETRY_PERIOD_S, self._paint_waiting, clock=steady_clock())

    def close(self) -> None:
        """Destroy the node."""
        self.destroy_node()

    def _subscribe(self) -> None:
        self.create_subscription(Image, 'label', self._on_label, IMAGE_QOS)
        self.create_subscription(String, 'label_info_json', self._on_classes, LATCHED_QOS)
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(CameraInfo, 'camera_info', self._on_info, newest)
        self._points = self._subscribe_to_points()

    def _subscribe_to_points(self) -> Any:
        profile = QoSProfile(depth=5, reliability=self._policy)
        return self.create_subscription(PointCloud2, 'points', self._on_points, profile)

    def _poll(self) -> None:
        """Follow the reliability of the sensor; tell when nothing comes out."""
        offered = [
            info.qos_profile.reliability
            for info in self.get_publishers_info_by_topic(self._points.topic_name)
        ]
        policy = choose_reliability('auto', offered, self._policy)
        if policy != self._policy:
            self._policy = policy
            self.destroy_subscription(self._points)
            self._points = self._subscribe_to_points()
        if self._wanted() and time.monotonic() - self._painted_s > SILENCE_S:
            self._complain(
                f'no cloud painted for {SILENCE_S:.0f} s; CameraInfo '
                f'{"missing" if self._info is None else "there"}, {self._pairing.unpaired} clouds '
                'without labels of nearly their stamp (tolerance_ms)'
            )

    def _wanted(self) -> bool:
        return bool(self._publisher.get_subscription_count() > 0)

    def _complain(self, reason: str) -> None:
        self.get_logger().warning(reason, throttle_duration_sec=THROTTLE_S)

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_classes(self, message: String) -> None:
        try:
            palette = np.zeros((256, 3), np.uint8)
            for row in json.loads(message.data)['class_map']:
                palette[row['class_id']] = row['color']
            self._palette = palette
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            self._complain(f'label_info_json cannot be read ({error!r}); points stay grey')

    def _on_label(self, label: Image) -> None:
        self._paint_all(self._pairing.add_reference(stamp_ns(label.header), label))

    def _on_points(self, cloud: PointCloud2) -> None:
        if self._wanted():
            self._paint_all(self._pairing.add_item(stamp_ns(cloud.header), cloud))

    def _paint_all(self, pairs: list[tuple[PointCloud2, Image]]) -> None:
        self._waiting += [(time.monotonic(), cloud, label) for cloud, label in pairs]
        self._paint_waiting()

    def _paint_waiting(self) -> None:
        """Paint pairs in their order, as far as tf reaches; the others wait a moment."""
        while self._waiting:
            since_s, cloud, label = self._waiting[0]
            try:
                self._paint(cloud, label)
            except ValueError as error:
                is_late = isinstance(error, LateTransformError)
                if is_late and time.monotonic() - since_s < PATIENCE_S:
                    return
                self._complain(f'cloud dropped: {error}')
            self._waiting.popleft()

    def _paint(self, message: PointCloud2, label: Image) -> None:
        if self._info is None:
            raise ValueError('there is no CameraInfo on camera_info yet')
        camera = camera_model(self._info, self._rectified)
        cloud = read_cloud(message)
        rotation, shift = self._transforms.lookup(label.header, message.header)
        labels = paint(transform(cloud.xyz, rotation, shift), label_pixels(label), camera)
        self._publisher.publish(painted_cloud(message, cloud.records, labels, self._palette))
        self._painted_s = time.monotonic()


def main() -> int:
    """Run the node until SIGINT or SIGTERM; the exit code of the process."""
    return run_node(
        CloudPainter,
        prog='cloud_painter',
        description='Paint labels on a point cloud: set parameters by --ros-args -p NAME:=VALUE.',
        parameters=describe(table_of(PainterSettings)),
    )
