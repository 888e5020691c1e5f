"""Bags that the tests write for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import segmenting
import tiny_run
from training_fixtures import *  # noqa: F403

from training.bags.writing import ImageBagWriter
from training.cli import main

SECOND_NS = 1_000_000_000


def make_jpeg(number: int, height: int = 24, width: int = 32) -> bytes:
    """A small noisy picture that differs from those of other numbers."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode('.jpg', pixels)[1].tobytes()


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    return make_jpeg


@pytest.fixture
def camera_bag(tmp_path: Path) -> Callable[..., Path]:
    """Write a bag of JPEG frames: camera_bag('drive', count=20, rate_hz=10, ...) -> its path."""

    def write(
        name: str = 'drive',
        count: int = 20,
        rate_hz: float = 10.0,
        topic: str = '/camera/image_raw/compressed',
        storage: str = 'mcap',
        compression: str = 'none',
        size: tuple[int, int] = (24, 32),
    ) -> Path:
        path = tmp_path / name
        with ImageBagWriter(path, 'camera_optical_frame', storage, compression) as bag:
            for number in range(count):
                stamp_ns = SECOND_NS + round(number * SECOND_NS / rate_hz)
                bag.write_compressed(topic, stamp_ns, make_jpeg(number, *size))
        return path

    return write


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')


@pytest.fixture
def segment(checkpoint: Path) -> Callable[..., int]:
    """`hrda segment-bag ARGUMENTS` with the tiny network -> exit code."""
    return lambda *arguments: main(segmenting.command(checkpoint, *arguments))
