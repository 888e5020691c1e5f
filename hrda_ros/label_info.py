"""What the bytes of a label image mean, latched: as JSON, and as vision_msgs/LabelInfo."""

from __future__ import annotations

import json
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from hrda_core.classes import IGNORE, ClassSet

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # a package of its own, ros-<distro>-vision-msgs
    LabelInfo = VisionClass = None

LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
MISSING = (
    'vision_msgs is not installed, so class names are on ~/label_info_json alone; consumers of '
    '~/label_info, such as nav2, need it: apt install ros-$ROS_DISTRO-vision-msgs'
)


def label_info(classes: ClassSet, min_confidence: float = 0.0) -> dict[str, Any]:
    """Meaning of the label image's bytes: ids, names and colours; 255 is unlabelled."""
    rows = enumerate(zip(classes.names, classes.colors, strict=True))
    return {
        'class_set': classes.name,
        'unlabelled': IGNORE,
        'threshold': min_confidence,
        'class_map': [
            {'class_id': i, 'class_name': name, 'color': list(color)} for i, (name, color) in rows
        ],
    }


class LabelInfoPublisher:
    """Latched `label_info_json` and, where vision_msgs is installed, `label_info`.

    An entry for 255 is not in the class map: LabelInfo reserves the largest id for what is
    unlabelled, and consumers such as nav2's layer complain of classes that they give no cost.

    Args:
        node: has the topics.
        prefix: what the topics are named after, '~' for the node itself.
    """

    def __init__(self, node: Node, prefix: str = '~') -> None:
        self._node = node
        self._told: tuple[ClassSet, float] | None = None
        self._json = node.create_publisher(String, f'{prefix}/label_info_json', LATCHED_QOS)
        self._message = (
            node.create_publisher(LabelInfo, f'{prefix}/label_info', LATCHED_QOS)
            if LabelInfo is not None
            else None
        )
        if self._message is None:
            node.get_logger().info(MISSING, once=True)

    def publish(self, classes: ClassSet, min_confidence: float) -> None:
        """Tell the classes and the threshold, 0..1, unless the same was told before."""
        if (classes, min_confidence) == self._told:
            return
        self._told = classes, min_confidence
        info = label_info(classes, min_confidence)
        self._json.publish(String(data=json.dumps(info)))
        if self._message is not None:
            message = LabelInfo(threshold=min_confidence)
            message.header.stamp = self._node.get_clock().now().to_msg()
            message.class_map = [
                VisionClass(class_id=row['class_id'], class_name=row['class_name'])
                for row in info['class_map']
            ]
            self._message.publish(message)
