"""Recordings to measure on: made-up frames of a camera at 30 Hz."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from training.bags.reading import IMAGE
from training.bags.writing import ImageBagWriter
from training.benchmark.pictures import made_up_image

RATE_HZ = 30
JPEG_TOPIC, RAW_TOPIC = '/camera/image_raw/compressed', '/camera/image_raw'
_PICTURES = 4
_SECOND_NS = 1_000_000_000
_JPEG_QUALITY = 90

Size = tuple[int, int]


def write_jpegs(path: Path, size: Size, frames: int) -> int:
    """Write a recording of JPEG messages; the mean size of a frame [bytes]."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    files = [
        cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()
        for picture in _pictures(size)
    ]
    with ImageBagWriter(path) as bag:
        for number in range(frames):
            bag.write_compressed(JPEG_TOPIC, _stamp_ns(number), files[number % _PICTURES])
    return sum(map(len, files)) // _PICTURES


def write_raw(path: Path, size: Size, frames: int) -> None:
    """Write a recording of bgr8 messages, the encoding of most camera drivers."""
    pictures = [np.ascontiguousarray(picture[..., ::-1]) for picture in _pictures(size)]
    with ImageBagWriter(path) as bag:
        for number in range(frames):
            bag.write(
                RAW_TOPIC,
                IMAGE,
                _stamp_ns(number),
                header=bag.header(_stamp_ns(number)),
                height=size[1],
                width=size[0],
                encoding='bgr8',
                is_bigendian=0,
                step=3 * size[0],
                data=pictures[number % _PICTURES].reshape(-1),
            )


def copy_recording(path: Path, copy: Path) -> Path:
    """The same recording again, in another place."""
    return Path(shutil.copytree(path, copy))


def _pictures(size: Size) -> list[np.ndarray]:
    return [made_up_image(seed, size) for seed in range(_PICTURES)]


def _stamp_ns(number: int) -> int:
    return _SECOND_NS + number * _SECOND_NS // RATE_HZ
