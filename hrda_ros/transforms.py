"""Where a camera sees what another sensor measured: by tf, or by a pose that is given."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from hrda_ros.process import StartError

Pose = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Rotation (4,), quaternion x, y, z, w, and shift (3,) [m]."""


class LateTransformError(ValueError):
    """tf does not reach to the time that is asked for; what moves is often told a little late."""


class Transforms(Protocol):
    """A source of transforms."""

    def lookup(self, camera: Header, sensor: Header) -> Pose:
        """What takes points of the sensor's frame into the camera's.

        Raises:
            ValueError: it is not known, and why.
            LateTransformError: (one of them) it may be known in a moment.
        """


class FixedTransform:
    """One pose for all times.

    Args:
        text: x y z qx qy qz qw of the sensor in the camera's optical frame, as for
            static_transform_publisher.

    Raises:
        StartError: not seven finite numbers with a rotation among them.
    """

    def __init__(self, text: str) -> None:
        try:
            values = np.array([float(part) for part in text.replace(',', ' ').split()])
        except ValueError:
            values = np.zeros(0)
        if values.shape != (7,) or not np.isfinite(values).all() or not values[3:].any():
            raise StartError(
                'parameter points_to_camera must be seven numbers, x y z qx qy qz qw, '
                f'not {text!r}'
            )
        self._pose = values[3:], values[:3]

    def lookup(self, camera: Header, sensor: Header) -> Pose:
        """The pose."""
        return self._pose


class TfTransforms:
    """Transforms from /tf and /tf_static.

    Args:
        node: listens to them.
        fixed_frame: a frame that does not move, such as odom, to make up for the motion between
            the two stamps; '' for none.

    Raises:
        StartError: tf2_ros is not installed.
    """

    def __init__(self, node: Node, fixed_frame: str) -> None:
        try:
            import tf2_ros
        except ImportError as error:
            raise StartError(
                f'tf2_ros cannot be imported ({error}); install ros-$ROS_DISTRO-tf2-ros-py, or '
                'give the parameter points_to_camera instead of tf'
            ) from error
        self._fixed_frame = fixed_frame
        self._error, self._late = tf2_ros.TransformException, tf2_ros.ExtrapolationException
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(self, camera: Header, sensor: Header) -> Pose:
        """The transform at the time of the sensor's stamp."""
        sensor_time = Time.from_msg(sensor.stamp)
        try:
            if self._fixed_frame:
                found = self._buffer.lookup_transform_full(
                    camera.frame_id,
                    Time.from_msg(camera.stamp),
                    sensor.frame_id,
                    sensor_time,
                    self._fixed_frame,
                )
            else:
                found = self._buffer.lookup_transform(
                    camera.frame_id, sensor.frame_id, sensor_time
                )
        except self._late as error:
            raise LateTransformError(f'no transform yet: {error}') from error
        except self._error as error:
            raise ValueError(f'no transform: {error}') from error
        rotation, shift = found.transform.rotation, found.transform.translation
        return (
            np.array([rotation.x, rotation.y, rotation.z, rotation.w]),
            np.array([shift.x, shift.y, shift.z]),
        )
