"""The camera's calibration, passed on with the header of each label image."""

from __future__ import annotations

from pathlib import PurePosixPath

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

REPEAT_S = 30.0


def info_topic(image_topic: str) -> str:
    """Where cameras publish their calibration: beside the raw image.

    /front/image_raw and /front/image_raw/compressed both have /front/camera_info.
    """
    image = PurePosixPath(image_topic.removesuffix('/compressed'))
    return str(image.parent / 'camera_info')


class CameraInfoRelay:
    """Publishes the newest CameraInfo of a camera as that of the label images.

    Label images have the size of the camera's, so its calibration holds for them as it is.

    Args:
        node: has the topics.
        image_topic: full name of the camera's topic; its calibration is taken from beside it,
            or from where `camera_info` (of a camera with a name: NAME/camera_info) is remapped to.
        camera: its name, '' for the one without.

    Attributes:
        topic: the full name of the camera's calibration.
    """

    def __init__(self, node: Node, image_topic: str, camera: str = '') -> None:
        self._node = node
        self._newest: CameraInfo | None = None
        name = f'{camera}/camera_info' if camera else 'camera_info'
        remapped = node.resolve_topic_name(name)
        plain = node.resolve_topic_name(name, only_expand=True)
        self.topic = info_topic(image_topic) if remapped == plain else remapped
        # Best effort takes from every publisher; only the newest matters, so a loss does not.
        profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_subscription(CameraInfo, self.topic, self._keep, profile)
        self._publisher = node.create_publisher(
            CameraInfo,
            f'~/{name}',
            QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE),
        )

    def _keep(self, info: CameraInfo) -> None:
        self._newest = info

    def publish(self, header: Header) -> None:
        """Pass the calibration on under a label image's header; warn while there is none."""
        info = self._newest
        if info is None:
            self._node.get_logger().warning(
                f'no CameraInfo on {self.topic} yet, so none is passed on; remap camera_info',
                throttle_duration_sec=REPEAT_S,
            )
            return
        info.header = header
        self._publisher.publish(info)
