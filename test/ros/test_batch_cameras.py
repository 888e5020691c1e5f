"""Frames of several cameras in one batch: who goes together, and what a failure costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from ros.tiny_segmenter import FAILING_RED, TinySegmenter
from sensor_msgs.msg import Image

Picture = npt.NDArray[np.uint8]
MakeImage = Callable[..., Image]
NAMES = ('front', 'rear', 'left')


def start(graph: Any, segmenter: TinySegmenter, **parameters: Any) -> Any:
    """The node with three cameras in batches."""
    values = {'cameras': list(NAMES), 'batch_cameras': True, 'lazy': False} | parameters
    return graph.start_node(segmenter, **values)


def publish_while_busy(
    graph: Any, segmenter: TinySegmenter, make_image: MakeImage, pictures: Mapping[str, Picture]
) -> None:
    """Publish a frame of each camera during an inference, so that they wait together."""
    segmenter.delay_s = 0.5
    cameras = {name: graph.camera(topic=f'{name}/image') for name in pictures}
    front = graph.camera(topic='front/image')
    seen = len(segmenter.seen)
    front.publish(make_image(np.full((8, 8, 3), 9, np.uint8)))
    graph.spin_for(0.2)
    segmenter.delay_s = 0.0
    for name, picture in pictures.items():
        image = make_image(picture)
        image.header.frame_id = name
        cameras[name].publish(image)
    graph.spin_until(lambda: len(segmenter.seen) >= seen + 1 + len(pictures))


def test_frames_that_wait_go_together_and_come_out_with_their_own_headers(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = start(graph, segmenter)
    labels = {name: graph.listen(f'segmentation/{name}/label') for name in NAMES}
    graph.spin_until(lambda: all(camera.outputs.wanted() for camera in node.cameras))
    pictures = {name: np.roll(picture, n, axis=1) for n, name in enumerate(NAMES)}
    publish_while_busy(graph, segmenter, make_image, pictures)
    assert sorted(map(sorted, segmenter.batches)) == [['front'], sorted(NAMES)]
    graph.spin_until(lambda: all(labels.values()) and len(labels['front']) == 2)
    for name, received in labels.items():
        assert received[-1].header.frame_id == name
        found = np.frombuffer(received[-1].data, np.uint8).reshape(96, 160)
        assert np.array_equal(found, pictures[name][..., 0] % 19)
    assert [camera.statistics.snapshot().at_once for camera in node.cameras] == [2, 3, 3]


def test_one_size_goes_together_and_another_alone(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    start(graph, segmenter)
    pictures = {'front': picture, 'rear': picture[:48], 'left': picture}
    publish_while_busy(graph, segmenter, make_image, pictures)
    assert sorted(map(sorted, segmenter.batches)) == [['front'], ['front', 'left'], ['rear']]


def test_a_dead_camera_holds_up_no_batch(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    start(graph, segmenter)
    publish_while_busy(graph, segmenter, make_image, {'front': picture, 'rear': picture})
    assert sorted(map(sorted, segmenter.batches)) == [['front'], ['front', 'rear']]


def test_the_model_is_warm_for_as_many_as_may_come(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    start(graph, segmenter)
    for count, name in enumerate(NAMES, 1):
        graph.camera(topic=f'{name}/image').publish(make_image(picture))
        graph.spin_until(lambda count=count: len(segmenter.seen) == count)
    assert segmenter.warmed_batches == [1, 2, 3]


def test_a_batch_that_fails_is_tried_one_by_one_and_the_guilty_camera_is_named(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = start(graph, segmenter)
    labels = {name: graph.listen(f'segmentation/{name}/label') for name in ('front', 'rear')}
    bad = picture.copy()
    bad[0, 0, 0] = FAILING_RED
    with pytest.raises(AssertionError):  # one frame fewer is seen than was published
        publish_while_busy(
            graph, segmenter, make_image, {'front': picture, 'rear': picture, 'left': bad}
        )
    graph.spin_until(lambda: len(labels['front']) == 2 and labels['rear'])
    drops = [c.statistics.snapshot().dropped['model_failed'] for c in node.cameras]
    assert drops == [0, 0, 1]
    assert segmenter.most_images == 1


def test_batching_is_off_by_default_and_can_be_set_live(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    node = graph.start_node(segmenter, cameras=['front', 'rear'], lazy=False)
    pictures = {'front': picture, 'rear': picture}
    publish_while_busy(graph, segmenter, make_image, pictures)
    assert all(len(batch) == 1 for batch in segmenter.batches)
    assert node.set_parameters([Parameter('batch_cameras', value=True)])[0].successful
    segmenter.batches.clear()
    publish_while_busy(graph, segmenter, make_image, pictures)
    publish_while_busy(graph, segmenter, make_image, pictures)
    assert sorted(map(len, segmenter.batches))[-1] == 2


def test_diagnostics_tell_how_many_go_together(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    segmenter = TinySegmenter()
    start(graph, segmenter)
    reports = graph.listen('/diagnostics', DiagnosticArray)
    publish_while_busy(graph, segmenter, make_image, {'rear': picture, 'left': picture})

    def at_once() -> set[str]:
        return {v.value for r in reports for v in r.status[0].values if v.key == 'frames_at_once'}

    graph.spin_until(lambda: '2.0' in at_once())
