"""What the segmentation node publishes, and how arrays become messages."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from hrda_core.classes import ClassSet
from hrda_core.results import certain_labels
from hrda_ros.drawing import draw_colors, draw_overlay
from hrda_ros.image_segmenter import Result
from hrda_ros.label_info import LabelInfoPublisher
from hrda_ros.qos_overrides import create_publisher
from hrda_ros.settings import Settings

Uint8Array = npt.NDArray[np.uint8]
LAYOUTS: dict[str, tuple[npt.DTypeLike, tuple[int, ...]]] = {
    'mono8': (np.uint8, ()),
    'rgb8': (np.uint8, (3,)),
    '32FC1': (np.float32, ()),
}
"""Type of the samples and shape of a pixel of every encoding that is published."""
# Reliable serves both kinds of subscriber; images above the default shared memory segment of
# Fast DDS hardly reach a best-effort one.
IMAGE_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
JPEG_QUALITY = 90


def image_message(header: Header, pixels: npt.NDArray[Any], encoding: str) -> Image:
    """Pack an array into a tightly packed message under the given header.

    Shape:
        pixels: uint8 (H, W) for mono8, uint8 (H, W, 3) for rgb8, float32 (H, W) for 32FC1.

    Raises:
        ValueError: the array does not have the shape or type of the encoding.
    """
    kind, pixel = LAYOUTS[encoding]
    if pixels.dtype != kind or pixels.ndim < 2 or pixels.shape[2:] != pixel:
        raise ValueError(f'{encoding} does not fit an array {pixels.dtype} {pixels.shape}')
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = pixels.nbytes // max(height, 1)
    message.is_bigendian = sys.byteorder == 'big'
    # Assigning bytes or an array to `data` checks or copies element by element in some releases.
    message.data.frombytes(np.ascontiguousarray(pixels).view(np.uint8))
    return message


def jpeg_message(header: Header, rgb: Uint8Array) -> CompressedImage:
    """Compress a picture, uint8 (H, W, 3) RGB, under the given header."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    message = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    message.data.frombytes(data)
    return message


class Outputs:
    """Publishers of one camera's results.

    `label` and `confidence`; `overlay`, `overlay/compressed` and `color`, which are drawn only
    for their listeners; what the labels mean, latched.

    Args:
        node: has the topics.
        classes: what the labels mean at first.
        min_confidence: as the parameter is now.
        prefix: what the topics are named after, '~' for the node itself.
    """

    def __init__(
        self, node: Node, classes: ClassSet, min_confidence: float = 0.0, prefix: str = '~'
    ) -> None:
        self._label = create_publisher(node, Image, f'{prefix}/label', IMAGE_QOS)
        self._confidence = create_publisher(node, Image, f'{prefix}/confidence', IMAGE_QOS)
        self._overlay = create_publisher(node, Image, f'{prefix}/overlay', IMAGE_QOS)
        self._jpeg = create_publisher(
            node, CompressedImage, f'{prefix}/overlay/compressed', IMAGE_QOS
        )
        self._color = create_publisher(node, Image, f'{prefix}/color', IMAGE_QOS)
        self._info = LabelInfoPublisher(node, prefix)
        self._info.publish(classes, min_confidence)

    def publish(
        self,
        header: Header,
        image: Uint8Array,
        result: Result,
        classes: ClassSet,
        settings: Settings,
    ) -> None:
        """Publish one frame's results.

        Args:
            header: the input's header, passed on whole.
            image: the input picture, uint8 (H, W, 3) RGB.
            result: labels and confidence, uint8 (H, W).
            classes: what these labels mean.
            settings: the parameters as they are now.
        """
        self._info.publish(classes, settings.min_confidence)
        labels = certain_labels(result.labels, result.confidence, settings.min_confidence)
        self._label.publish(image_message(header, labels, 'mono8'))
        confidence = result.confidence
        if settings.confidence_encoding == '32FC1':
            confidence = confidence / np.float32(255)
        self._confidence.publish(image_message(header, confidence, settings.confidence_encoding))
        if self._color.get_subscription_count():
            self._color.publish(
                image_message(header, draw_colors(labels, classes.palette), 'rgb8')
            )
        self._publish_overlay(header, image, labels, classes.palette, settings.overlay_alpha)

    def _publish_overlay(
        self,
        header: Header,
        image: Uint8Array,
        labels: Uint8Array,
        palette: Uint8Array,
        alpha: float,
    ) -> None:
        raw, jpeg = (p.get_subscription_count() > 0 for p in (self._overlay, self._jpeg))
        if not (raw or jpeg):
            return
        overlay = draw_overlay(image, labels, palette, alpha)
        if raw:
            self._overlay.publish(image_message(header, overlay, 'rgb8'))
        if jpeg:
            self._jpeg.publish(jpeg_message(header, overlay))

    def wanted(self) -> bool:
        """Whether anybody listens to one of the images."""
        return any(publisher.get_subscription_count() for publisher in self._images)

    @property
    def topics(self) -> list[str]:
        """Full names of the image topics."""
        return [publisher.topic_name for publisher in self._images]

    @property
    def _images(self) -> tuple[Publisher, ...]:
        return self._label, self._confidence, self._overlay, self._jpeg, self._color
