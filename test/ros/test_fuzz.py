"""Hundreds of random messages, most of them bad: the node lives and labels the next good one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from ros.message_fuzz import Fuzz
from sensor_msgs.msg import CompressedImage, Image


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_random_messages_are_survived(
    graph: Any,
    make_image: Callable[..., Image],
    picture: npt.NDArray[np.uint8],
    transport: str,
) -> None:
    fuzz = Fuzz(graph, transport)
    fuzz.send(300)
    before = fuzz.labels
    assert 0 < before < 300
    good: Any = make_image(picture)
    if transport == 'compressed':
        good = CompressedImage(header=good.header, format='png')
        good.data.frombytes(cv2.imencode('.png', picture[..., ::-1])[1])
    fuzz.send_one(good)
    graph.spin_until(lambda: fuzz.labels == before + 1)
