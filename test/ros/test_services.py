"""`~/enable` and `~/reload`, called as any client would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros.tiny_segmenter import TinySegmenter
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from hrda_core.classes import ClassSet
from hrda_ros.image_segmenter import check_checkpoint
from hrda_ros.process import StartError
from hrda_ros.settings import Settings

Picture = npt.NDArray[np.uint8]
MakeImage = Callable[..., Image]
TWO = ClassSet('two', ('floor', 'wall'), ((1, 2, 3), (4, 5, 6)), ((0,), (1,)))
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def call(graph: Any, kind: Any, name: str, request: Any) -> Any:
    """Send a request; the future of its answer."""
    client = graph.peer.create_client(kind, name)
    graph.spin_until(client.service_is_ready)
    return client.call_async(request)


def answer(graph: Any, future: Any) -> Any:
    """Wait for an answer."""
    graph.spin_until(future.done)
    return future.result()


def test_enable_is_the_parameter_enabled(graph: Any) -> None:
    node = graph.start_node()
    future = call(graph, SetBool, 'segmentation/enable', SetBool.Request(data=False))
    assert answer(graph, future).success
    assert node.get_parameter('enabled').value is False
    future = call(graph, SetBool, 'segmentation/enable', SetBool.Request(data=True))
    assert answer(graph, future).message == 'enabled is true'
    assert node.get_parameter('enabled').value is True


class Loader:
    """Makes tiny segmenters, slowly the second time, and refuses a broken checkpoint."""

    def __init__(self) -> None:
        self.made: list[TinySegmenter] = []
        self.wait_s = 0.0

    def __call__(self, settings: Settings) -> TinySegmenter:
        time.sleep(self.wait_s)
        if settings.checkpoint == 'broken':
            raise StartError('checkpoint broken is not a file')
        self.made.append(TinySegmenter(classes=TWO) if self.made else TinySegmenter())
        return self.made[-1]


def test_reload_swaps_model_and_classes(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    loader = Loader()
    node = graph.start_node(make=loader, checkpoint='first')
    told: list[str] = []
    graph.peer.create_subscription(
        String,
        'segmentation/label_info_json',
        lambda info: told.append(json.loads(info.data)['class_set']),
        LATCHED,
    )
    labels = graph.listen('segmentation/label')
    camera = graph.camera()
    graph.spin_until(node.cameras[0].outputs.wanted)
    camera.publish(make_image(picture))
    # Who comes late hears the newest classes alone, so the first must be there before the reload.
    graph.spin_until(lambda: labels and told)
    assert node.set_parameters([Parameter('checkpoint', value='second')])[0].successful
    reply = answer(graph, call(graph, Trigger, 'segmentation/reload', Trigger.Request()))
    assert (reply.success, reply.message) == (True, 'second (tiny)')
    assert loader.made[1].warmed == [(96, 160)]
    camera.publish(make_image(picture))
    graph.spin_until(lambda: len(labels) == 2 and 'two' in told)
    assert loader.made[1].seen == [7]
    # DDS may deliver a latched message twice to who comes while it is sent.
    assert list(dict.fromkeys(told)) == ['cityscapes', 'two']


def test_only_a_checkpoint_can_be_named_for_the_next_reload(graph: Any, tmp_path: Path) -> None:
    pytest.importorskip('torch', reason='checkpoints are read with torch')
    import tiny_run

    node = graph.start_node(check=check_checkpoint, checkpoint='first')
    (tmp_path / 'torn.safetensors').write_bytes(b'torn')
    for name, reason in (('no', 'no such file'), ('torn.safetensors', 'truncated, or not a')):
        path = str(tmp_path / name)
        result = node.set_parameters([Parameter('checkpoint', value=path)])[0]
        assert not result.successful
        assert result.reason.startswith(f'{path}: {reason}')
    assert node.get_parameter('checkpoint').value == 'first'
    good = str(tiny_run.write_checkpoint(tmp_path / 'good.safetensors'))
    assert node.set_parameters([Parameter('checkpoint', value=good)])[0].successful


def test_a_failed_reload_keeps_the_old_model_and_says_why(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    loader = Loader()
    node = graph.start_node(make=loader, checkpoint='first', lazy=False)
    node.set_parameters([Parameter('checkpoint', value='broken')])
    reply = answer(graph, call(graph, Trigger, 'segmentation/reload', Trigger.Request()))
    assert not reply.success
    assert reply.message == 'the old model stays: checkpoint broken is not a file'
    graph.camera().publish(make_image(picture))
    graph.spin_until(lambda: loader.made[0].seen)


def test_a_model_that_cannot_warm_up_is_not_swapped_in(
    graph: Any, make_image: MakeImage, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = Loader()
    node = graph.start_node(make=loader, checkpoint='first', lazy=False)
    camera = graph.camera()
    camera.publish(make_image(picture))
    graph.spin_until(lambda: loader.made[0].seen)

    def run_out(self: TinySegmenter, height: int, width: int, images: int) -> float:
        raise RuntimeError('out of memory\nat length')

    monkeypatch.setattr(TinySegmenter, 'warm_up', run_out)
    reply = answer(graph, call(graph, Trigger, 'segmentation/reload', Trigger.Request()))
    assert (reply.success, reply.message) == (False, 'the old model stays: out of memory')
    camera.publish(make_image(picture))
    graph.spin_until(lambda: len(loader.made[0].seen) == 2)
    assert node._worker.model.checkpoint == 'first'


def test_frames_are_served_by_the_old_model_meanwhile(
    graph: Any, make_image: MakeImage, picture: Picture
) -> None:
    loader = Loader()
    graph.start_node(make=loader, lazy=False)
    camera = graph.camera()
    loader.wait_s = 1.0
    future = call(graph, Trigger, 'segmentation/reload', Trigger.Request())
    while not future.done():
        camera.publish(make_image(picture))
        graph.spin_for(0.05)
    assert len(loader.made[0].seen) >= 5
