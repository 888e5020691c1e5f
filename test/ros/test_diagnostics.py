"""What /diagnostics tells, over real DDS and from numbers alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from ros.tiny_segmenter import FAILING_RED, TinySegmenter
from sensor_msgs.msg import Image

from hrda_ros.diagnostics import Condition, judge
from hrda_ros.model_facts import checkpoint_id
from hrda_ros.statistics import STALE, UNDECODABLE, FrameResult, FrameStatistics

MakeImage = Callable[..., Image]
WELL = Condition(enabled=True, idle=False, silent_s=0.1)


def values_of(array: DiagnosticArray) -> dict[str, str]:
    return {item.key: item.value for item in array.status[0].values}


@pytest.mark.parametrize(
    ('condition', 'level', 'text'),
    [
        (WELL, DiagnosticStatus.OK, '20 ms each'),
        (WELL._replace(enabled=False, silent_s=9), DiagnosticStatus.OK, 'switched off'),
        (WELL._replace(idle=True), DiagnosticStatus.OK, 'idle'),
        (WELL._replace(silent_s=9, silence='no frame'), DiagnosticStatus.WARN, 'no frame'),
        (WELL._replace(silent_s=2, mismatch='unheard'), DiagnosticStatus.ERROR, 'unheard'),
        (WELL._replace(mismatch='unheard'), DiagnosticStatus.OK, '20 ms each'),
    ],
)
def test_the_worst_is_told(condition: Condition, level: bytes, text: str) -> None:
    statistics = FrameStatistics()
    statistics.count_processed(FrameResult(20.0))
    assert judge(statistics.snapshot(), condition)[0] == level
    assert text in judge(statistics.snapshot(), condition)[1]


@pytest.mark.parametrize(
    ('reason', 'level'),
    [(UNDECODABLE, DiagnosticStatus.ERROR), (STALE, DiagnosticStatus.WARN)],
)
def test_a_dropped_frame_is_told_until_some_time_after_the_next(reason: str, level: bytes) -> None:
    statistics = FrameStatistics()
    statistics.count_dropped(reason, 'it is bad')
    assert judge(statistics.snapshot(), WELL) == (level, 'last frame dropped: it is bad')
    statistics.count_processed(FrameResult(20.0))
    level, message = judge(statistics.snapshot(), WELL)
    assert level == DiagnosticStatus.WARN
    assert message == '1 frames dropped in the last 5 s, at last: it is bad'


def test_the_values_name_model_device_times_and_windows(
    graph: Any, make_image: MakeImage, picture: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    checkpoint = tmp_path / 'model.safetensors'
    checkpoint.write_bytes(b'weights')
    graph.start_node(checkpoint=str(checkpoint))
    reports = graph.listen('/diagnostics', DiagnosticArray)
    graph.listen('segmentation/label')
    graph.camera().publish(make_image(picture))
    graph.spin_until(lambda: reports and values_of(reports[-1])['frames_published'] == '1')
    values = values_of(reports[-1])
    assert values['domain_shift'] == 'unknown: it has no domain'
    assert values['model_id'] == hashlib.sha256(b'weights').hexdigest()[:12]
    assert (values['device'], values['precision']) == ('cpu', 'fp32')
    assert (values['windows_computed'], values['windows_planned']) == ('3.0', '4.0')
    assert float(values['inference_ms_p50']) <= float(values['inference_ms_p99'])
    assert values['dropped_replaced_by_newer'] == '0'


def test_a_missing_checkpoint_has_no_id() -> None:
    assert checkpoint_id('/no/such/file') == 'unknown'


def test_a_publisher_that_cannot_be_heard_is_an_error_that_names_the_parameter(
    graph: Any,
) -> None:
    node = graph.start_node(reliability='reliable')
    reports = graph.listen('/diagnostics', DiagnosticArray)
    other = type(graph)()
    assert node.cameras[0].input.describe_mismatch() == ''
    other.peer.create_publisher(Image, 'image', qos_profile_sensor_data)
    graph.spin_until(lambda: reports and reports[-1].status[0].level == b'\x02')
    other.close()
    assert reports[-1].status[0].message == (
        '/image is asked for as reliable, which /peer (sensor_msgs/msg/Image, best_effort) does '
        'not offer; set the parameter reliability to auto'
    )


def test_silence_tells_where_there_are_images(graph: Any) -> None:
    node = graph.start_node()
    graph.peer.create_publisher(Image, '/front/image_raw', 1)
    describe = node.cameras[0].input.describe_silence
    graph.spin_until(lambda: '; there are: /front/image_raw' in describe())
    assert '/segmentation' not in describe()


@pytest.mark.parametrize(
    ('mode', 'windows', 'warned'),
    [('anytime', 0, True), ('anytime', 1, False), ('exact', 0, False)],
)
def test_a_deadline_below_the_context_alone_is_a_warning_with_the_remedy(
    graph: Any,
    make_image: MakeImage,
    picture: npt.NDArray[np.uint8],
    mode: str,
    windows: int,
    warned: bool,
) -> None:
    segmenter = TinySegmenter(delay_s=0.06, windows=windows)
    graph.start_node(segmenter, lazy=False, mode=mode, deadline_ms=40.0)
    reports = graph.listen('/diagnostics', DiagnosticArray)
    graph.camera().publish(make_image(picture))
    graph.spin_until(lambda: reports and values_of(reports[-1])['frames_published'] == '1')
    status = reports[-1].status[0]
    told = (
        'the deadline of 40 ms cannot be met: the context alone takes 60 ms; raise deadline_ms, '
        'or take a smaller network or smaller images'
    )
    assert (status.level, status.message) == (b'\x01', told) or not warned
    assert 'deadline' not in status.message or warned


def test_out_of_memory_makes_room_and_the_next_frame_passes(
    graph: Any, make_image: MakeImage, picture: npt.NDArray[np.uint8]
) -> None:
    segmenter = TinySegmenter()
    graph.start_node(segmenter)
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    camera.publish(make_image(np.full((8, 8, 3), FAILING_RED, np.uint8)))
    graph.spin_until(lambda: segmenter.room == '')
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels)


def test_a_frame_that_is_too_old_is_dropped_and_counted(
    graph: Any, make_image: MakeImage, picture: npt.NDArray[np.uint8]
) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter, max_age_ms=500.0, lazy=False)
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    camera.publish(make_image(picture))
    graph.spin_until(lambda: node.cameras[0].statistics.snapshot().dropped['stale'] == 1)
    fresh = make_image(picture)
    fresh.header.stamp = node.get_clock().now().to_msg()
    camera.publish(fresh)
    graph.spin_until(lambda: labels)
    assert segmenter.seen == [7]
