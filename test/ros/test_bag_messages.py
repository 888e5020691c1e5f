"""Messages that offline commands write, read with the types of an installed ROS."""

from __future__ import annotations

import numpy as np
from rclpy.serialization import deserialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image

from hrda_core.image_codec import decode_compressed
from training.bag_segmentation.messages import jpeg_image, mono_image

TYPES = get_typestore(Stores.ROS2_JAZZY).types
HEADER = TYPES['std_msgs/msg/Header'](
    stamp=TYPES['builtin_interfaces/msg/Time'](sec=-3, nanosec=4_000_000_000), frame_id='ö/optical'
)


def test_labels_are_an_image_under_the_same_header() -> None:
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    image = deserialize_message(mono_image(HEADER, pixels), Image)
    assert (image.encoding, image.height, image.width, image.step) == ('mono8', 3, 5, 5)
    assert bytes(image.data) == bytes(range(15))
    assert image.header.frame_id == HEADER.frame_id
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (-3, 4_000_000_000)


def test_overlays_are_compressed_images() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    message = deserialize_message(jpeg_image(HEADER, red), CompressedImage)
    assert message.header.frame_id == HEADER.frame_id
    assert abs(decode_compressed(message).astype(int) - red).max() < 8
