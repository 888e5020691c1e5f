"""Arrays to messages, qualities of service, topics: pure parts that need ROS's types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')
rosbags_typesys = pytest.importorskip('rosbags.typesys', reason='needs rosbags')

from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Header

from hrda_core.classes import CITYSCAPES
from hrda_core.image_codec import decode_compressed
from hrda_ros.bag_player import restamp
from hrda_ros.camera_info import info_topic
from hrda_ros.image_input import choose_reliability, input_topic
from hrda_ros.label_info import label_info
from hrda_ros.outputs import image_message, jpeg_message

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def test_a_label_image_is_packed_tightly() -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)[:, ::-1]
    message = image_message(Header(frame_id='camera'), labels, 'mono8')
    assert (message.height, message.width, message.step) == (3, 4, 4)
    assert (message.encoding, message.header.frame_id) == ('mono8', 'camera')
    assert bytes(message.data) == labels.tobytes()


@pytest.mark.parametrize(
    ('shape', 'encoding'),
    [((3, 4), 'rgb8'), ((3, 4, 3), 'mono8'), ((3, 4, 4), 'rgb8'), ((3, 4), '32FC1')],
)
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...], encoding: str) -> None:
    with pytest.raises(ValueError, match=encoding):
        image_message(Header(), np.zeros(shape, np.uint8), encoding)


def test_a_confidence_of_floats_is_packed_tightly() -> None:
    message = image_message(Header(), np.float32([[0, 0.5], [1, 0.25]]), '32FC1')
    assert (message.height, message.width, message.step) == (2, 2, 8)
    assert np.frombuffer(message.data, np.float32).tolist() == [0, 0.5, 1, 0.25]


def test_a_jpeg_keeps_the_colours_apart() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    message = jpeg_message(Header(frame_id='camera'), red)
    assert (message.format, message.header.frame_id) == ('rgb8; jpeg compressed bgr8', 'camera')
    decoded = decode_compressed(message)
    assert np.abs(decoded.astype(int) - red).max() < 8


@pytest.mark.parametrize(
    ('image', 'expected'),
    [
        ('/front/image_raw', '/front/camera_info'),
        ('/front/image_raw/compressed', '/front/camera_info'),
        ('/image', '/camera_info'),
    ],
)
def test_the_calibration_is_beside_the_image(image: str, expected: str) -> None:
    assert info_topic(image) == expected


def test_label_info_names_every_class() -> None:
    info = label_info(CITYSCAPES)
    assert info['unlabelled'] == 255
    assert [row['class_name'] for row in info['class_map']] == list(CITYSCAPES.names)
    assert [row['class_id'] for row in info['class_map']] == list(range(19))


@pytest.mark.parametrize(
    ('mode', 'offered', 'current', 'expected'),
    [
        ('auto', [], None, BEST_EFFORT),
        ('auto', [], RELIABLE, RELIABLE),
        ('auto', [RELIABLE], BEST_EFFORT, RELIABLE),
        ('auto', [RELIABLE, BEST_EFFORT], RELIABLE, BEST_EFFORT),
        ('reliable', [BEST_EFFORT], None, RELIABLE),
        ('best_effort', [RELIABLE], None, BEST_EFFORT),
    ],
)
def test_reliability_follows_mode_and_publishers(
    mode: str,
    offered: list[ReliabilityPolicy],
    current: ReliabilityPolicy | None,
    expected: ReliabilityPolicy,
) -> None:
    assert choose_reliability(mode, offered, current) == expected


@pytest.mark.parametrize(
    ('image', 'transport', 'topic'),
    [
        ('/cam/image', 'raw', '/cam/image'),
        ('/cam/image', 'compressed', '/cam/image/compressed'),
        ('/cam/image/compressed', 'compressed', '/cam/image/compressed'),
    ],
)
def test_input_topic(image: str, transport: str, topic: str) -> None:
    assert input_topic(image, transport) == topic


@settings(deadline=None)
@given(
    stamp_ns=st.integers(0, 2**31 * 10**9 - 1),
    frame=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    little=st.booleans(),
)
def test_restamping_changes_the_stamp_and_nothing_else(
    stamp_ns: int, frame: str, little: bool
) -> None:
    store = rosbags_typesys.get_typestore(rosbags_typesys.Stores.ROS2_JAZZY)
    kind = 'sensor_msgs/msg/CompressedImage'
    time = store.types['builtin_interfaces/msg/Time'](5, 6)
    header = store.types['std_msgs/msg/Header'](time, frame)
    message = store.types[kind](header, 'jpeg', np.arange(9, dtype=np.uint8))
    data = bytes(store.serialize_cdr(message, kind, little_endian=little))
    again = store.deserialize_cdr(restamp(data, stamp_ns), kind)
    stamp = again.header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec == stamp_ns
    assert (again.header.frame_id, again.format, list(again.data)) == (frame, 'jpeg', [*range(9)])
