"""The segmentation node over real DDS, with a segmenter of one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros.tiny_segmenter import FAILING_RED, TinySegmenter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from hrda_ros.process import StartError

Picture = npt.NDArray[np.uint8]
MakeImage = Callable[..., Image]


def pixels_of(message: Image) -> Picture:
    """The array in a tightly packed message."""
    channels = {'mono8': 1, 'rgb8': 3}[message.encoding]
    assert message.step == message.width * channels
    shape = (message.height, message.width) + ((3,) if channels == 3 else ())
    return np.frombuffer(message.data, np.uint8).reshape(shape)


def test_label_and_confidence_carry_the_header_and_exact_ids(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    graph.start_node()
    labels, confidences = (
        graph.listen('segmentation/label'),
        graph.listen('segmentation/confidence'),
    )
    image = make_image(picture)
    graph.camera().publish(image)
    graph.spin_until(lambda: labels and confidences)
    assert labels[0].header == confidences[0].header == image.header
    assert labels[0].encoding == confidences[0].encoding == 'mono8'
    assert np.array_equal(pixels_of(labels[0]), picture[..., 0] % 19)
    assert np.array_equal(pixels_of(confidences[0]), picture[..., 1])


def test_overlay_is_published_only_to_subscribers(
    graph: Any, make_image: MakeImage, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    import hrda_ros.outputs as outputs

    draw = outputs.draw_overlay
    monkeypatch.setattr(outputs, 'draw_overlay', lambda *a: (drawn.append(a[3]), draw(*a))[1])
    node = graph.start_node(overlay_alpha=0.0)
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels)
    assert drawn == []
    overlays = graph.listen('segmentation/overlay')
    graph.spin_until(lambda: node.cameras[0].outputs._overlay.get_subscription_count())
    camera.publish(make_image(picture))
    graph.spin_until(lambda: overlays)
    assert overlays[0].encoding == 'rgb8'
    assert np.array_equal(pixels_of(overlays[0]), picture)


def test_overlay_alpha_changes_while_the_node_runs(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    node = graph.start_node(overlay_alpha=0.0)
    overlays = graph.listen('segmentation/overlay')
    camera = graph.camera()
    graph.spin_until(lambda: node.cameras[0].outputs._overlay.get_subscription_count())
    assert node.set_parameters([Parameter('overlay_alpha', value=1)])[0].successful
    camera.publish(make_image(picture))
    graph.spin_until(lambda: overlays)
    expected = TinySegmenter.classes.colorize(picture[..., 0] % 19)
    assert np.array_equal(pixels_of(overlays[0]), expected)


def test_newest_frame_wins_and_parameters_answer_meanwhile(
    graph: Any, make_image: MakeImage
) -> None:
    segmenter = TinySegmenter(delay_s=0.3)
    node = graph.start_node(segmenter)
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    for red in range(1, 11):
        camera.publish(make_image(np.full((8, 8, 3), red, np.uint8)))
        graph.spin_for(0.03)
        assert node.set_parameters([Parameter('max_rate', value=0.0)])[0].successful
    graph.spin_until(lambda: segmenter.seen[-1:] == [10] and len(labels) == len(segmenter.seen))
    assert segmenter.seen[0] == 1
    assert len(segmenter.seen) <= 4
    assert node.cameras[0].slot.dropped == 10 - len(segmenter.seen)


@pytest.mark.parametrize(
    'break_image',
    [
        lambda m: setattr(m, 'encoding', 'nonsense'),
        lambda m: setattr(m, 'height', 4_000_000_000),
        lambda m: setattr(m, 'height', 0),
        lambda m: setattr(m, 'step', 1),
        lambda m: setattr(m, 'data', m.data[:100]),
    ],
)
def test_a_bad_frame_is_survived(
    graph: Any, make_image: MakeImage, picture: Picture, break_image: Callable[[Image], None]
) -> None:
    node = graph.start_node()
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    bad = make_image(picture)
    break_image(bad)
    camera.publish(bad)
    graph.spin_until(lambda: node.cameras[0].statistics.snapshot().dropped['undecodable'] == 1)
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels)
    assert len(labels) == 1


def test_a_failing_model_is_an_error_and_the_next_frame_works(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    node = graph.start_node()
    labels = graph.listen('segmentation/label')
    reports = graph.listen('/diagnostics', DiagnosticArray)
    camera = graph.camera()
    camera.publish(make_image(np.full((8, 8, 3), FAILING_RED, np.uint8)))
    graph.spin_until(lambda: reports and reports[-1].status[0].level == b'\x02')
    status = reports[-1].status[0]
    assert status.message == 'last frame dropped: RuntimeError: out of memory'
    assert {v.key: v.value for v in status.values}['dropped_model_failed'] == '1'
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels)
    assert not node.cameras[0].statistics.snapshot().failing


def test_frames_too_small_for_the_model_warm_nothing_up(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter, lazy=False)
    camera = graph.camera()
    camera.publish(make_image(picture[:3, :3]))
    graph.spin_until(lambda: node.cameras[0].statistics.snapshot().dropped['undecodable'] == 1)
    camera.publish(make_image(picture))
    graph.spin_until(lambda: segmenter.seen)
    assert segmenter.warmed == [(96, 160)]


@pytest.mark.parametrize(
    ('encoding', 'convert'),
    [
        ('rgb8', lambda p: p),
        ('bgr8', lambda p: p[..., ::-1]),
        ('bgra8', lambda p: np.dstack([p[..., ::-1], p[..., 0]])),
        ('rgba8', lambda p: np.dstack([p, p[..., 0]])),
    ],
)
def test_colour_encodings_with_padded_rows(
    graph: Any,
    make_image: MakeImage,
    picture: Picture,
    encoding: str,
    convert: Callable[[Picture], Picture],
) -> None:
    graph.start_node()
    labels = graph.listen('segmentation/label')
    graph.camera().publish(make_image(convert(picture), encoding, padding=32))
    graph.spin_until(lambda: labels)
    assert np.array_equal(pixels_of(labels[0]), picture[..., 0] % 19)


def test_compressed_input(graph: Any, picture: Picture) -> None:
    graph.start_node(image_transport='compressed')
    labels = graph.listen('segmentation/label')
    message = CompressedImage(format='rgb8; png compressed bgr8')
    message.header.frame_id = 'rear'
    message.data.frombytes(cv2.imencode('.png', picture[..., ::-1])[1].tobytes())
    graph.camera(topic='image/compressed', kind=CompressedImage).publish(message)
    graph.spin_until(lambda: labels)
    assert labels[0].header.frame_id == 'rear'
    assert np.array_equal(pixels_of(labels[0]), picture[..., 0] % 19)


@pytest.mark.parametrize('offered', ['reliable', 'best_effort'])
def test_auto_reliability_follows_the_camera(
    graph: Any, make_image: MakeImage, picture: Picture, offered: str
) -> None:
    node = graph.start_node()
    labels = graph.listen('segmentation/label')
    camera = graph.camera(offered)
    wanted = ReliabilityPolicy[offered.upper()]
    graph.spin_until(lambda: node.cameras[0].input.policy == wanted)
    graph.spin_until(lambda: camera.get_subscription_count() == 1)
    camera.publish(make_image(picture))
    graph.spin_until(lambda: labels)
    assert labels[0].header == make_image(picture).header


def test_auto_reliability_changes_with_the_camera_and_complains_of_nothing(
    graph: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.start_node()
    reliable = graph.camera('reliable')
    graph.spin_until(lambda: node.cameras[0].input.policy == ReliabilityPolicy.RELIABLE)
    graph.peer.destroy_publisher(reliable)
    graph.camera('best_effort')
    graph.spin_until(lambda: node.cameras[0].input.policy == ReliabilityPolicy.BEST_EFFORT)
    assert 'set the parameter reliability to auto' not in capfd.readouterr().err


def test_silence_names_the_publishers_and_what_they_offer(graph: Any) -> None:
    node = graph.start_node(reliability='reliable')
    text = node.cameras[0].input.describe_silence()
    assert 'no frame on /image' in text
    assert 'publishers: none' in text
    # From another context, because one DDS participant holds one type per topic.
    other = type(graph)()
    profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    other.peer.create_publisher(CompressedImage, 'image', profile)
    seen = '/peer (sensor_msgs/msg/CompressedImage, best_effort)'
    graph.spin_until(lambda: seen in node.cameras[0].input.describe_silence())
    other.close()


def test_class_names_reach_a_late_subscriber(graph: Any) -> None:
    graph.start_node()
    received: list[String] = []
    profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    graph.peer.create_subscription(
        String, 'segmentation/label_info_json', received.append, profile
    )
    graph.spin_until(lambda: received)
    names = [row['class_name'] for row in json.loads(received[0].data)['class_map']]
    assert names == list(TinySegmenter.classes.names)


def test_disabled_node_segments_nothing_until_enabled(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter, enabled=False, lazy=False)
    camera = graph.camera()
    camera.publish(make_image(picture))
    graph.spin_for(0.3)
    assert segmenter.seen == []
    node.set_parameters([Parameter('enabled', value=True)])
    camera.publish(make_image(picture))
    graph.spin_until(lambda: segmenter.seen)


def test_max_rate_bounds_the_work(graph: Any, make_image: MakeImage, picture: Picture) -> None:
    segmenter = TinySegmenter()
    graph.start_node(segmenter, max_rate=5.0, lazy=False)
    camera = graph.camera()
    for _ in range(20):
        camera.publish(make_image(picture))
        graph.spin_for(0.03)
    assert 1 <= len(segmenter.seen) <= 6


def test_limits_change_between_frames(graph: Any, make_image: MakeImage, picture: Picture) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter, mode='anytime', lazy=False)
    camera = graph.camera()
    for count, changes in enumerate([{}, {'deadline_ms': 40, 'budget': 3}, {'threshold': 0.5}], 1):
        values = [Parameter(name, value=value) for name, value in changes.items()]
        assert all(result.successful for result in node.set_parameters(values))
        camera.publish(make_image(picture))
        graph.spin_until(lambda count=count: len(segmenter.seen) == count)
    assert segmenter.limits == [(None, None, None), (None, 3, 40.0), (0.5, 3, 40.0)]


def test_an_integer_is_taken_for_a_double(graph: Any) -> None:
    node = graph.start_node(overlay_alpha=1)
    value = node.get_parameter('overlay_alpha').value
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [({}, 'person=4.5, traffic light=2'), ({'class_weights': 'sky=3'}, 'sky=3')],
)
def test_a_map_of_class_weights_is_taken_unless_a_text_overrides_it(
    graph: Any, given: dict[str, str], expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    # A parameter file's `class_weights: {person: 4.5, traffic light: 2}`, as rcl reads it.
    items = {'class_weights.person': 4.5, 'class_weights.traffic light': 2}
    node = graph.start_node(**items, **given)
    assert node.get_parameter('class_weights').value == expected
    assert 'class_weights' not in capfd.readouterr().err


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('overlay_alpha', 3.0, '0..1'),
        ('image_transport', 'theora', 'one of raw, compressed'),
        ('device', 5, 'a text'),
    ],
)
def test_a_refused_parameter_ends_the_start(
    graph: Any, name: str, value: Any, reason: str
) -> None:
    with pytest.raises(StartError, match=f'{name} .*{reason}'):
        graph.start_node(**{name: value})


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('overlay_alpha', 3.0, 'out of range'),
        ('max_rate', 'fast', 'type'),
        ('device', 'cuda', 'read-only'),
    ],
)
def test_a_refused_change_gives_its_reason(graph: Any, name: str, value: Any, reason: str) -> None:
    node = graph.start_node()
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful
    assert reason in result.reason


def test_every_parameter_is_described(graph: Any) -> None:
    from hrda_ros.settings import SETTINGS

    node = graph.start_node()
    descriptors = node.describe_parameters(list(SETTINGS))
    assert all(descriptor.description for descriptor in descriptors)
    live = {d.name for d in descriptors if not d.read_only}
    assert live == {
        'checkpoint', 'threshold', 'budget', 'deadline_ms', 'overlay_alpha', 'enabled', 'max_rate',
        'min_confidence', 'lazy', 'max_age_ms', 'batch_cameras', 'wait_for_newer_ms',
    }  # fmt: skip


def test_simulated_time_without_a_clock_stops_nothing(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    graph.start_node(use_sim_time=True)
    labels = graph.listen('segmentation/label')
    reports = graph.listen('/diagnostics', DiagnosticArray)
    graph.camera().publish(make_image(picture))
    graph.spin_until(lambda: labels and len(reports) >= 2)
    values = {v.key: v.value for v in reports[-1].status[0].values}
    assert values['age_ms'] == 'unknown'


def test_simulated_time_with_a_clock_gives_ages(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    from rosgraph_msgs.msg import Clock

    node = graph.start_node(use_sim_time=True, lazy=False)
    clock = graph.camera(topic='/clock', kind=Clock, reliability='best_effort')
    image, camera = make_image(picture), graph.camera()
    now = Clock()
    now.clock.sec, now.clock.nanosec = image.header.stamp.sec + 2, image.header.stamp.nanosec
    clock.publish(now)
    graph.spin_until(lambda: node.get_clock().now().to_msg() == now.clock)
    camera.publish(image)
    graph.spin_until(lambda: node.cameras[0].statistics.snapshot().age_ms)
    assert node.cameras[0].statistics.snapshot().age_ms[0] == 2000
