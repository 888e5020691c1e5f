"""What the contenders of `hrda bench bags` do: one recording from its first to its last frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
from rosbags.highlevel import AnyReader

from training.benchmark.contenders import Requests
from training.benchmark.pictures import made_up_image
from training.extraction.drive import extract_topic
from training.extraction.drive_topic import DriveTopic
from training.extraction.pictures import JPEG_QUALITY
from training.extraction.settings import ChoiceSettings, ExtractionSettings, PictureSettings
from training.memory.freed import keep_freed_memory

Size = tuple[int, int]


class Pass(NamedTuple):
    """One time through a recording.

    Attributes:
        frames: that it holds.
        seconds: it took.
    """

    frames: int
    seconds: float

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.frames / self.seconds


def read_plainly(path: Path, topic: str, write: bool, requests: Requests) -> None:
    """The loop of the rosbags library's documentation: read and deserialise every message.

    Args:
        path: the recording.
        topic: of its images.
        write: put the bytes of every message into a file of its own, too.
        requests: each is answered with a `Pass`.
    """
    _answer(lambda folder, _: _plain_loop(path, topic, folder if write else None), requests, path)


def _plain_loop(path: Path, topic: str, folder: Path | None) -> int:
    frames = 0
    with AnyReader([path]) as reader:
        wanted = [each for each in reader.connections if each.topic == topic]
        for connection, _, raw in reader.messages(connections=wanted):
            message = reader.deserialize(raw, connection.msgtype)
            frames += 1
            if folder is not None:
                stamp = message.header.stamp
                file = folder / f'{stamp.sec}_{stamp.nanosec:09d}.jpg'
                file.write_bytes(message.data)
    return frames


def extract(path: Path, topic: str, every_ns: int, requests: Requests) -> None:
    """What a process of `hrda extract` does; all but the page at the end.

    Args:
        path: the recording.
        topic: of its images.
        every_ns: see `ChoiceSettings`.
        requests: each a number of helper threads, answered with a `Pass`.
    """
    keep_freed_memory()

    def work(folder: Path, helpers: int) -> int:
        choice = ChoiceSettings(every_ns=every_ns)
        settings = ExtractionSettings(folder, choice, PictureSettings())
        part = DriveTopic(path, 'drive', topic, 0)
        return extract_topic(part, settings, _ignore, helpers).counts.total()

    _answer(work, requests, path)


def encode_only(size: Size, frames: int, requests: Requests) -> None:
    """Encode images that are in memory already as JPEG, and do nothing else."""
    keep_freed_memory()
    bgr = [cv2.cvtColor(made_up_image(n, size), cv2.COLOR_RGB2BGR) for n in range(4)]

    def work(_folder: Path, _helpers: int) -> int:
        for number in range(frames):
            cv2.imencode('.jpg', bgr[number % 4], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return frames

    _answer(work, requests, None)


def _answer(work: Callable[[Path, int], int], requests: Requests, beside: Path | None) -> None:
    """Time `work` at every request, in an empty folder beside a file, then thrown away."""
    cv2.setNumThreads(1)
    for request in requests:
        with TemporaryDirectory(dir=beside and beside.parent) as folder:
            start = time.perf_counter()
            frames = work(Path(folder), request)
            requests.answer(Pass(frames, time.perf_counter() - start))


def _ignore(_count: int) -> None:
    pass
