"""A sensor_msgs/CameraInfo as the YAML that ROS's camera_calibration writes and drivers read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import yaml

FILE_NAME = 'camera_info.yaml'


def info_topics(image_topic: str) -> tuple[str, ...]:
    """Where the CameraInfo of an image topic may be, the usual place first.

    That is beside the image (/camera/image_raw -> /camera/camera_info); for transports such as
    /camera/image_raw/compressed beside the raw topic.
    """
    base = PurePosixPath(image_topic)
    if base.name == 'compressed':
        base = base.parent
    return (str(base.parent / 'camera_info'), str(base / 'camera_info'))


def calibration_yaml(info: Any, camera_name: str) -> str:
    """Write a CameraInfo message as text.

    Args:
        info: a message, or any object with the fields of sensor_msgs/CameraInfo.
        camera_name: goes into the file.

    Returns:
        YAML with image_width, image_height, camera_matrix (3x3), distortion_model,
        distortion_coefficients (1xN), rectification_matrix (3x3), projection_matrix (3x4).
    """
    content = {
        'image_width': int(info.width),
        'image_height': int(info.height),
        'camera_name': camera_name,
        'frame_id': str(info.header.frame_id),
        'camera_matrix': _matrix(info.k, 3),
        'distortion_model': str(info.distortion_model),
        'distortion_coefficients': _matrix(info.d, 1),
        'rectification_matrix': _matrix(info.r, 3),
        'projection_matrix': _matrix(info.p, 3),
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None)


def _matrix(values: Any, rows: int) -> dict[str, Any]:
    data = [float(value) for value in values]
    return {'rows': rows, 'cols': len(data) // rows, 'data': data}
