"""Video files, frame by frame: read what can be read, write whole or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from hrda_core.classes import Uint8Array
from training.whole_files import MAKE_ROOM

# What FFmpeg complains about is said here in a sentence, with the file's name.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mkv', '.mov')
CODECS = {'.mp4': 'mp4v', '.mov': 'mp4v', '.mkv': 'mp4v', '.avi': 'MJPG'}
"""By the suffix of the file; OpenCV's wheels bring no H.264 encoder."""
DEFAULT_RATE_HZ = 25.0
"""Taken for files that do not tell their frame rate."""
_NO_ROOM = f'is the disk full? {MAKE_ROOM.capitalize()}'
UNEVEN = 0.2
"""Intervals between frames that differ by more than this share make a variable rate."""


class VideoReader:
    """The frames of a video, upright.

    Args:
        path: the file.

    Attributes:
        rate_hz: mean frame rate [Hz]; nan if the file does not tell.
        promised: number of frames by the file's own account; 0 if it does not tell.
        read: how many frames came out so far.

    Raises:
        ValueError: the file cannot be opened as a video.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise ValueError(
                f'{path} cannot be opened as a video; it is damaged, cut off before its index '
                'was written, or of an unknown kind'
            )
        # Phones store a portrait video lying down, and say so.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate if 0 < rate < 1000 else math.nan
        self.promised = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self.read = 0
        self._stamps_ms: list[float] = []

    def __iter__(self) -> Iterator[Uint8Array]:
        """Frames, uint8 (H, W, 3) RGB, in order; ends at the first one that cannot be read."""
        try:
            while True:
                found, frame = self._capture.read()
                if not found:
                    return
                self.read += 1
                self._stamps_ms.append(self._capture.get(cv2.CAP_PROP_POS_MSEC))
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        finally:
            self._capture.release()

    def skim(self, first: int = 0) -> Iterator[Callable[[], Uint8Array]]:
        """Frames from one on, each of which is decoded when called, and left out at little cost.

        Args:
            first: number of the first frame, from 0.

        Yields:
            What gives the frame, as `__iter__` does, until the next one is asked for; ValueError
            where it is damaged.
        """
        if first:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, first)
        try:
            while self._capture.grab():
                yield self._retrieve
        finally:
            self._capture.release()

    def _retrieve(self) -> Uint8Array:
        found, frame = self._capture.retrieve()
        if not found:
            raise ValueError(f'a frame of {self.path} is damaged')
        self.read += 1
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)

    @property
    def cut_off(self) -> bool:
        """Whether clearly fewer frames came out than promised, or none at all."""
        # Containers without an index estimate the number from the duration.
        tolerance = max(1, self.promised // 100)
        return self.read == 0 or self.read < self.promised - tolerance

    @property
    def uneven(self) -> bool:
        """Whether the frames read so far came at a variable rate."""
        intervals = np.diff(self._stamps_ms)
        if len(intervals) < 2 or intervals.min() <= 0:
            return False
        return bool(intervals.max() > (1 + UNEVEN) * intervals.min() + 1)


class VideoWriter:
    """Writes a video; the file appears when the block ends, and not at all if it fails.

    Args:
        path: the file; its suffix chooses container and codec (`CODECS`).
        rate_hz: constant frame rate [Hz].

    Attributes:
        count: frames written.

    Raises:
        ValueError: another suffix, or a rate that no video can have.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        check_video_name(path)
        if not 0 < rate_hz < 1000:
            raise ValueError(f'a frame rate of {rate_hz} Hz is outside 0..1000')
        self.path, self.rate_hz = path, rate_hz
        # FFmpeg chooses the container by the suffix, so that must stay the last part.
        self._part = path.with_name(f'.{path.stem}.part{path.suffix}')
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self.count = 0

    def __enter__(self) -> VideoWriter:
        """Nothing is written before the first frame."""
        return self

    def add(self, frame: Uint8Array) -> None:
        """Write a frame, uint8 (H, W, 3) RGB.

        Raises:
            ValueError: it is not of the size of the first one.
            OSError: the file cannot be written.
        """
        size = (frame.shape[1], frame.shape[0])
        if self._writer is None:
            self._size = size
            self._writer = self._open(size)
        if size != self._size:
            raise ValueError(
                f'a frame of {size[0]}x{size[1]} px does not fit into a video of '
                f'{self._size[0]}x{self._size[1]} px'
            )
        # The encoders want even sides, and OpenCV would drop a column without a word.
        odd = cv2.copyMakeBorder(frame, 0, size[1] % 2, 0, size[0] % 2, cv2.BORDER_REPLICATE)
        self._writer.write(cv2.cvtColor(odd, cv2.COLOR_RGB2BGR))
        self.count += 1

    def add_fitted(self, frame: Uint8Array) -> bool:
        """Write a frame, uint8 (H, W, 3) RGB, made to fit where the first one had another size.

        It keeps its aspect and gets black borders.

        Returns:
            Whether it had to be made to fit.

        Raises:
            OSError: the file cannot be written.
        """
        fits = self._writer is None or (frame.shape[1], frame.shape[0]) == self._size
        self.add(frame if fits else _fitted(frame, *self._size))
        return not fits

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
        even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        writer = cv2.VideoWriter(str(self._part), cv2.CAP_FFMPEG, codec, self.rate_hz, even)
        if not writer.isOpened():
            raise OSError(
                f'{self.path} cannot be written as a video of {even[0]}x{even[1]} px; {_NO_ROOM}'
            )
        return writer

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its name, or remove it after an error (Ctrl-C as well)."""
        try:
            if self._writer is not None:
                self._writer.release()
                if kind is None:
                    self._check()
                    self._part.replace(self.path)
        finally:  # Ctrl-C may come when the file is there, but before its writer is
            self._part.unlink(missing_ok=True)

    def _check(self) -> None:
        # OpenCV's writer says nothing of a full disk.
        written = cv2.VideoCapture(str(self._part), cv2.CAP_FFMPEG)
        frames = int(written.get(cv2.CAP_PROP_FRAME_COUNT))
        written.release()
        if frames < self.count - 1:
            raise OSError(
                f'{self.path}: only {max(frames, 0)} of {self.count} frames could be written; '
                f'{_NO_ROOM}'
            )


def _fitted(frame: Uint8Array, width: int, height: int) -> Uint8Array:
    scale = min(width / frame.shape[1], height / frame.shape[0])
    w, h = (max(1, round(side * scale)) for side in (frame.shape[1], frame.shape[0]))
    left, top = (width - w) // 2, (height - h) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + h, left : left + w] = cv2.resize(frame, (w, h), interpolation=how)
    return canvas


def check_video_name(path: Path) -> None:
    """Raise ValueError where a file's suffix is none that videos are written with."""
    if path.suffix.lower() not in CODECS:
        raise ValueError(f'{path}: expected a video name ({", ".join(CODECS)})')
