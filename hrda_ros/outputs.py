"""What the segmentation node publishes, and how arrays become messages."""

from __future__ import annotations

import json
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from hrda_core.classes import IGNORE, ClassSet
from hrda_core.overlay import blend

Uint8Array = npt.NDArray[np.uint8]
CHANNELS = {'mono8': 1, 'rgb8': 3}
# Reliable serves both kinds of subscriber; images above the default shared memory segment of
# Fast DDS hardly reach a best-effort one.
IMAGE_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class Result(Protocol):
    """The part of a Segmentation that is published."""

    @property
    def labels(self) -> Uint8Array:
        """Train ids, uint8 (H, W)."""

    @property
    def confidence(self) -> Uint8Array:
        """Confidence of the labels, uint8 (H, W), 0..255."""


def image_message(header: Header, pixels: Uint8Array, encoding: str) -> Image:
    """Pack an array into a tightly packed message under the given header.

    Shape:
        pixels: uint8 (H, W) for mono8, (H, W, 3) for rgb8.

    Raises:
        ValueError: the array does not have the shape or type of the encoding.
    """
    shape = pixels.shape[:2] if CHANNELS[encoding] == 1 else (*pixels.shape[:2], 3)
    if pixels.dtype != np.uint8 or pixels.shape != shape or pixels.ndim < 2:
        raise ValueError(f'{encoding} does not fit an array {pixels.dtype} {pixels.shape}')
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = width * CHANNELS[encoding]
    # Assigning bytes or an array to `data` checks or copies element by element in some releases.
    message.data.frombytes(np.ascontiguousarray(pixels))
    return message


def label_info(classes: ClassSet) -> dict[str, Any]:
    """Meaning of the label image's bytes: ids, names and colours; 255 is unlabelled."""
    rows = enumerate(zip(classes.names, classes.colors, strict=True))
    return {
        'class_set': classes.name,
        'unlabelled': IGNORE,
        'class_map': [
            {'class_id': i, 'class_name': name, 'color': list(color)} for i, (name, color) in rows
        ],
    }


class Outputs:
    """Publishers of `~/label`, `~/confidence`, `~/overlay` and the latched `~/label_info_json`."""

    def __init__(self, node: Node, classes: ClassSet) -> None:
        self._palette = classes.palette
        self._label = node.create_publisher(Image, '~/label', IMAGE_QOS)
        self._confidence = node.create_publisher(Image, '~/confidence', IMAGE_QOS)
        self._overlay = node.create_publisher(Image, '~/overlay', IMAGE_QOS)
        self._info = node.create_publisher(String, '~/label_info_json', LATCHED_QOS)
        self._info.publish(String(data=json.dumps(label_info(classes))))

    def publish(self, header: Header, image: Uint8Array, result: Result, alpha: float) -> None:
        """Publish one frame's results; the overlay is drawn only when somebody subscribed to it.

        Args:
            header: the input's header, passed on whole.
            image: the input picture, uint8 (H, W, 3) RGB.
            result: labels and confidence, uint8 (H, W).
            alpha: weight of the class colours in the overlay, 0..1.
        """
        self._label.publish(image_message(header, result.labels, 'mono8'))
        self._confidence.publish(image_message(header, result.confidence, 'mono8'))
        if self._overlay.get_subscription_count():
            overlay = blend(image, result.labels, self._palette, alpha)
            self._overlay.publish(image_message(header, overlay, 'rgb8'))

    @property
    def topics(self) -> list[str]:
        """Full names of the image topics."""
        return [p.topic_name for p in (self._label, self._confidence, self._overlay)]
