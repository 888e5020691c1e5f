"""What the node publishes, and for whom, over real DDS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros.tiny_segmenter import TinySegmenter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hrda_core.image_codec import decode_compressed, decode_image

Picture = npt.NDArray[np.uint8]
MakeImage = Callable[..., Image]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def wanted_by(node: Any) -> Callable[[], bool]:
    """Whether the node knows of a listener."""
    return node.cameras[0].outputs.wanted


def test_uncertain_pixels_are_unlabelled_black_and_not_painted(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    node = graph.start_node(overlay_alpha=1.0, min_confidence=0.5)
    labels, colors, overlays = (
        graph.listen(f'segmentation/{name}') for name in ('label', 'color', 'overlay')
    )
    camera = graph.camera()
    outputs = node.cameras[0].outputs
    graph.spin_until(
        lambda: (
            outputs._color.get_subscription_count() and outputs._overlay.get_subscription_count()
        )
    )
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels and colors and overlays)
    uncertain = picture[..., 1] < 127.5
    expected = np.where(uncertain, 255, picture[..., 0] % 19).astype(np.uint8)
    color = TinySegmenter.classes.colorize(expected)
    assert bytes(labels[0].data) == expected.tobytes()
    assert np.array_equal(decode_image(colors[0]), color)
    assert not decode_image(colors[0])[uncertain].any()
    overlay = np.where(uncertain[..., None], picture, color)
    assert np.array_equal(decode_image(overlays[0]), overlay)


def test_the_least_confidence_changes_while_the_node_runs_and_is_told(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    node = graph.start_node()
    infos: list[String] = []
    graph.peer.create_subscription(String, 'segmentation/label_info_json', infos.append, LATCHED)
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    graph.spin_until(lambda: infos and wanted_by(node)())
    assert node.set_parameters([Parameter('min_confidence', value=1)])[0].successful
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels and len(infos) == 2)
    assert (np.frombuffer(labels[0].data, np.uint8) == 255).all()
    assert [json.loads(info.data)['threshold'] for info in infos] == [0.0, 1.0]


def test_confidence_as_floats(graph: Any, make_image: MakeImage, picture: Picture) -> None:
    graph.start_node(confidence_encoding='32FC1')
    confidences = graph.listen('segmentation/confidence')
    image = make_image(picture)
    graph.camera().publish(image)
    graph.spin_until(lambda: confidences)
    assert (confidences[0].encoding, confidences[0].header) == ('32FC1', image.header)
    values = np.frombuffer(confidences[0].data, np.float32).reshape(picture.shape[:2])
    assert np.array_equal(values, picture[..., 1] / np.float32(255))


def test_a_compressed_overlay_for_who_listens_to_it(graph: Any, make_image: MakeImage) -> None:
    node = graph.start_node(overlay_alpha=1.0)
    overlays = graph.listen('segmentation/overlay/compressed', CompressedImage)
    camera = graph.camera()
    graph.spin_until(wanted_by(node))
    image = make_image(np.full((32, 32, 3), 7, np.uint8))
    camera.publish(image)
    graph.spin_until(lambda: overlays)
    assert overlays[0].header == image.header
    color = TinySegmenter.classes.colors[7]
    assert np.abs(decode_compressed(overlays[0]).astype(int) - color).max() < 8


def test_a_lazy_node_prepares_but_segments_only_for_listeners(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter)
    reports = graph.listen('/diagnostics', DiagnosticArray)
    camera = graph.camera()
    camera.publish(make_image(picture))
    graph.spin_until(lambda: segmenter.warmed)
    graph.spin_until(lambda: reports and reports[-1].status[0].message.startswith('idle'))
    assert segmenter.seen == []
    confidences = graph.listen('segmentation/confidence')
    graph.spin_until(wanted_by(node))
    camera.publish(make_image(picture))
    graph.spin_until(lambda: confidences)
    assert segmenter.seen == [7]
    assert segmenter.warmed == [(96, 160)]


def test_calibration_has_the_header_of_the_labels(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    node = graph.start_node(camera_info=True)
    infos = graph.listen('segmentation/camera_info', CameraInfo)
    labels = graph.listen('segmentation/label')
    calibration = graph.camera(topic='camera_info', kind=CameraInfo)
    sent = CameraInfo(height=96, width=160, distortion_model='plumb_bob', d=[0.1, 0.2])
    calibration.publish(sent)
    graph.spin_until(lambda: node.cameras[0]._info._newest)
    camera = graph.camera()
    graph.spin_until(wanted_by(node))
    for second in (5, 6):
        image = make_image(picture)
        image.header.stamp.sec = second
        camera.publish(image)
        graph.spin_until(lambda second=second: len(labels) == len(infos) == second - 4)
    assert [info.header for info in infos] == [label.header for label in labels]
    sent.header = infos[-1].header
    assert infos[-1] == sent


def test_class_names_reach_a_late_listener_of_vision_msgs(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    vision_msgs = pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs of ROS')
    graph.start_node(min_confidence=0.25)
    infos: list[Any] = []
    topic = 'segmentation/label_info'
    graph.peer.create_subscription(vision_msgs.LabelInfo, topic, infos.append, LATCHED)
    graph.spin_until(lambda: infos)
    rows = [(row.class_id, row.class_name) for row in infos[0].class_map]
    assert rows == list(enumerate(TinySegmenter.classes.names))
    assert infos[0].threshold == 0.25


def test_without_vision_msgs_the_names_are_on_the_json_topic(
    graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hrda_ros import label_info

    monkeypatch.setattr(label_info, 'LabelInfo', None)
    node = graph.start_node()
    topics = {
        topic for topic, _ in node.get_publisher_names_and_types_by_node(node.get_name(), '/')
    }
    assert '/segmentation/label_info_json' in topics
    assert '/segmentation/label_info' not in topics
