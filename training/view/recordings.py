"""What can be watched: bags, videos and images as frames with times, read from any place on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hrda_core.classes import Uint8Array
from hrda_core.image_codec import decode_compressed, decode_image
from training.bags.image_topics import choose_topics, list_image_topics
from training.bags.reading import Bag, RawMessage, decode_message, find_bags
from training.image_files import IMAGE_SUFFIXES, list_images, read_image
from training.progress import Display
from training.video import DEFAULT_RATE_HZ, VIDEO_SUFFIXES, VideoReader

Seconds: TypeAlias = npt.NDArray[np.float64]
Frame: TypeAlias = Callable[[], Uint8Array]
"""Decodes a frame, uint8 (H, W, 3) RGB; ValueError where it is damaged."""
SKIPPED_AT_MOST = 250
"""A frame that lies further ahead is looked for from anew, not by walking there."""


class Recording(Protocol):
    """Frames in the order of their times.

    Attributes:
        name: what is shown, in words.
        times_s: of every frame, since the first one, never falling [s].
        notes: what the user should know of it, one sentence each.
    """

    name: str
    times_s: Seconds
    notes: list[str]

    def read_from(self, index: int) -> Iterator[Frame]:
        """Frames from one on; each must be decoded, or left out, before the next is asked for."""
        ...


class BagRecording:
    """An image topic of some bags, one after the other.

    Args:
        bags: in the order in which they are shown.
        topic: name of the image topic.
        display: told how far reading the times is.

    Raises:
        ValueError: the topic has no messages.
    """

    def __init__(self, bags: Sequence[Bag], topic: str, display: Display) -> None:
        self.name = f'{", ".join(bag.name for bag in bags[:3])}  {topic}'
        self._topic = topic
        # One file at a time can be left out at once, which a bag of many cannot.
        self._parts = [[Bag(file) for file in bag.files] for bag in bags]
        self._counts: list[int] = []
        promised = sum(t.count for bag in bags for t in bag.promised_topics() if t.name == topic)
        messages = display.track(self._messages(), 'reading times', promised)
        self.times_s = _joined(self._times(messages, len(bags)))
        self.notes = [text for bag in bags for text in bag.damage]
        self.notes += [t for parts in self._parts for bag in parts for t in bag.damage]
        if not len(self.times_s):
            raise ValueError(f'{self.name}: no message can be read; {"; ".join(self.notes)}')

    def _messages(self) -> Iterator[tuple[int, int, RawMessage]]:
        """Number of the bag, number of the file over all bags, message."""
        file = 0
        for number, parts in enumerate(self._parts):
            for part in parts:
                for message in part.messages([self._topic]):
                    yield number, file, message
                part.drop_unpacked()
                file += 1

    def _times(self, messages: Iterator[tuple[int, int, RawMessage]], bags: int) -> list[Seconds]:
        times: list[list[int]] = [[] for _ in range(bags)]
        self._counts = [0] * sum(map(len, self._parts))
        for bag, file, message in messages:
            times[bag].append(message.record_ns)
            self._counts[file] += 1
        return [(np.array(t, np.float64) - t[0]) / 1e9 for t in times if t]

    def read_from(self, index: int) -> Iterator[Frame]:
        """See `Recording`; files before the frame are not opened."""
        before = 0
        files = [part for parts in self._parts for part in parts]
        for file, count in zip(files, self._counts, strict=True):
            if before + count > index:
                for number, message in enumerate(file.messages([self._topic]), before):
                    if number >= index:
                        yield lambda message=message: _decode(message)  # type: ignore[misc]
                file.drop_unpacked()
            before += count


class VideoRecording:
    """A video file.

    Args:
        path: the file.

    Raises:
        ValueError: it cannot be opened, or holds no frame.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path, self.notes = path.name, path, list[str]()
        reader = VideoReader(path)
        rate_hz = reader.rate_hz
        if math.isnan(rate_hz):
            rate_hz = DEFAULT_RATE_HZ
            self.notes.append(f'{path} does not tell its frame rate; shown at {rate_hz:g} Hz')
        count = reader.promised or sum(1 for _ in reader.skim())
        if not count:
            raise ValueError(f'{path} holds no frame that can be read')
        self.times_s = np.arange(count) / rate_hz

    def read_from(self, index: int) -> Iterator[Frame]:
        """See `Recording`."""
        return VideoReader(self._path).skim(index)


class ImageRecording:
    """Image files, shown at a constant rate.

    Args:
        name: what is shown, in words.
        paths: the files.
        rate_hz: images per second.
    """

    def __init__(self, name: str, paths: Sequence[Path], rate_hz: float) -> None:
        self.name, self._paths, self.notes = name, paths, list[str]()
        self.times_s = np.arange(len(paths)) / rate_hz

    def read_from(self, index: int) -> Iterator[Frame]:
        """See `Recording`."""
        for path in self._paths[index:]:
            yield lambda path=path: read_image(path)  # type: ignore[misc]


class Cursor:
    """Reads frames of a recording by number; going forward is cheap.

    Args:
        recording: it may be read from one thread alone.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._frames: Iterator[Frame] = iter(())
        self._next = math.inf

    def read(self, index: int) -> Uint8Array:
        """Decode a frame, uint8 (H, W, 3) RGB.

        Raises:
            ValueError: it is damaged, or the recording ends before it.
        """
        if not 0 <= index - self._next <= SKIPPED_AT_MOST:
            self._frames, self._next = self._recording.read_from(index), index
        for frame in self._frames:
            self._next += 1
            if self._next > index:
                return frame()
        self._next = math.inf
        raise ValueError(
            f'frame {index + 1} of {len(self._recording.times_s)} is not there: '
            f'{self._recording.name} is cut off or damaged'
        )


def open_recording(path: Path, topic: str | None, rate_hz: float, display: Display) -> Recording:
    """Find out what a path is, and open it.

    Args:
        path: a bag, a folder of bags, a video, an image or a folder of images.
        topic: image topic of bags; None takes the only camera.
        rate_hz: of images.
        display: told what was chosen, and how far reading is.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: nothing that can be shown.
    """
    if not 0 < rate_hz <= 1000:
        raise ValueError(f'--rate {rate_hz:g} is outside 0..1000 Hz')
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such file or folder')
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoRecording(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageRecording(path.name, [path], rate_hz)
    try:
        bags = find_bags([path])
    except ValueError:
        if not path.is_dir():
            raise
        remedy = 'give a bag, a video, an image or a folder of images'
        return ImageRecording(path.name, list_images(path, remedy), rate_hz)
    topics = list_image_topics(bags)
    if not topics:
        damage = '; '.join(text for bag in bags for text in bag.damage)
        raise ValueError(f'{path} has no image messages{"; " if damage else ""}{damage}')
    (chosen,) = choose_topics(topics, [topic] if topic else [], display.say)
    return BagRecording(bags, chosen.name, display)


def _decode(message: RawMessage) -> Uint8Array:
    image = decode_message(message)
    return decode_compressed(image) if hasattr(image, 'format') else decode_image(image)


def _joined(drives: Sequence[Seconds]) -> Seconds:
    """Times of drives that are shown without the hours between them."""
    joined, end_s = [np.zeros(0)], 0.0
    for times_s in drives:
        rising = np.maximum.accumulate(times_s)
        joined.append(end_s + rising)
        end_s = joined[-1][-1] + mean_interval_s(rising)
    return np.concatenate(joined)


def mean_interval_s(times_s: Seconds) -> float:
    """Mean time between frames [s]; that of the default rate where there is one frame."""
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return 1 / DEFAULT_RATE_HZ
    return float(times_s[-1] - times_s[0]) / (len(times_s) - 1)
