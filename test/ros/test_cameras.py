"""Several cameras in one process, with one model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from diagnostic_msgs.msg import DiagnosticArray
from ros.tiny_segmenter import TinySegmenter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from hrda_ros.process import StartError

Picture = npt.NDArray[np.uint8]
MakeImage = Callable[..., Image]


def test_each_camera_has_topics_and_a_stream_of_its_own(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter, cameras=['front', 'rear'])
    labels = {name: graph.listen(f'segmentation/{name}/label') for name in ('front', 'rear')}
    graph.spin_until(lambda: all(camera.outputs.wanted() for camera in node.cameras))
    for number, name in enumerate(labels):
        image = make_image(picture)
        image.header.frame_id = name
        image.data[0] = number
        graph.camera(topic=f'{name}/image').publish(image)
        graph.spin_until(lambda name=name: labels[name])
        assert labels[name][0].header == image.header
        assert labels[name][0].data[0] == number
    assert segmenter.streams == ['front', 'rear']
    assert segmenter.warmed == [(96, 160)]
    topics = {publisher.topic_name for publisher in node.publishers}
    assert {'/segmentation/front/label_info_json', '/segmentation/rear/overlay'} <= topics
    assert '/segmentation/label' not in topics


def test_a_fast_and_a_failing_camera_hold_up_no_other(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter(delay_s=0.05)
    graph.start_node(segmenter, cameras='fast, broken, slow, dead', lazy=False)
    fast, broken, slow = (graph.camera(topic=f'{n}/image') for n in ('fast', 'broken', 'slow'))
    sent = 0

    def slow_camera_is_served_often() -> bool:
        nonlocal sent
        fast.publish(make_image(picture))
        broken.publish(make_image(picture, encoding='nonsense'))
        served = segmenter.streams.count('slow')
        if served == sent:
            slow.publish(make_image(picture))
            sent += 1
        graph.spin_for(0.02)
        return served == 4

    graph.spin_until(slow_camera_is_served_often)
    assert segmenter.streams.count('fast') >= 3


def test_diagnostics_tell_the_cameras_apart(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    graph.start_node(cameras=['front', 'rear'])
    reports = graph.listen('/diagnostics', DiagnosticArray)
    graph.camera(topic='rear/image').publish(make_image(picture, encoding='nonsense'))

    def levels() -> dict[str, bytes]:
        return {status.name: status.level for report in reports for status in report.status}

    graph.spin_until(lambda: levels().get('segmentation: rear') == b'\x02')
    assert levels()['segmentation: front'] == b'\x00'


def test_calibration_is_passed_on_per_camera(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    graph.start_node(cameras=['front'], camera_info=True, lazy=False)
    infos = graph.listen('segmentation/front/camera_info', CameraInfo)
    source = graph.camera(topic='front/camera_info', kind=CameraInfo)
    source.publish(CameraInfo(width=160))
    image = make_image(picture)
    camera = graph.camera(topic='front/image')
    graph.spin_for(0.2)
    camera.publish(image)
    graph.spin_until(lambda: infos)
    assert (infos[0].width, infos[0].header) == (160, image.header)


def test_names_that_are_no_topics_end_the_start(graph: Any) -> None:
    with pytest.raises(StartError, match="cameras: 'a-b' cannot be part of a topic"):
        graph.start_node(cameras=['a-b'])


def test_one_camera_is_as_without_the_parameter(graph: Any) -> None:
    graph.start_node(cameras=[''])
    assert graph.listen('segmentation/label_info_json', String) == []
