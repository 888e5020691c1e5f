"""What is said of odd streams, without ROS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hrda_ros.stream_watch import StreamWatch


def frame(sec: int = 1, nanosec: int = 0, width: int = 8, encoding: str = 'rgb8') -> Any:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
    return SimpleNamespace(header=header, width=width, height=4, encoding=encoding)


def test_an_even_stream_is_not_remarked_on() -> None:
    watch = StreamWatch()
    assert [watch.complaint(frame(sec)) for sec in (1, 2, 2, 3)] == [''] * 4


@pytest.mark.parametrize(
    ('second', 'text'),
    [
        (frame(4, 500_000_000), 'stamps went back by 0.500 s'),
        (frame(0), 'frames carry no stamp'),
        (frame(5, 4_000_000_000), 'more than a second'),
        (frame(5, width=16), "frames are now 16x4 'rgb8', before 8x4 'rgb8'"),
        (frame(5, encoding='x' * 10**6), 'frames are now 8x4'),
    ],
)
def test_a_change_is_said_once(second: Any, text: str) -> None:
    watch = StreamWatch()
    watch.complaint(frame(5))
    complaint = watch.complaint(second)
    assert text in complaint
    assert len(complaint) < 200
    if second.header.stamp.nanosec < 10**9 and second.header.stamp.sec:
        assert watch.complaint(second) == ''


def test_compressed_frames_are_told_apart_by_their_format() -> None:
    watch = StreamWatch()
    header = frame().header
    watch.complaint(SimpleNamespace(header=header, format='jpeg'))
    complaint = watch.complaint(SimpleNamespace(header=header, format='png'))
    assert complaint == "frames are now 'png', before 'jpeg'"
