"""The messages of a recording, read and decoded in a thread ahead of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from hrda_core.classes import Uint8Array
from hrda_core.image_codec import ImageDecodeError, decode_compressed, decode_image
from training.bags.mcap_recovery import Kept
from training.bags.reading import Bag, BagDamageError, RawMessage, decode_message
from training.bags.ros2_messages import cdr_data
from training.extraction.rate import FrameClock


class Image(NamedTuple):
    """A decoded image: `header` of its message, `rgb` uint8 (H, W, 3)."""

    header: Any
    rgb: Uint8Array


@dataclass
class Input:
    """A message of the recording.

    Attributes:
        number: of the message among those that are read, from 0.
        message: the message; its data can be read at any time.
        is_camera: it is an image of a topic that is segmented.
        is_frame: it is to be segmented.
        first: it is the first message of its image topic.
        written: an earlier run has written what becomes of it.
        known: that is a result, or it needs none.
        image: the picture, of frames that can be decoded.
        is_readable: its data could be read, whatever became of the picture.
        problem: why a message or frame cannot be used; empty when it can.
    """

    number: int
    message: RawMessage
    is_camera: bool = False
    is_frame: bool = False
    first: bool = False
    written: bool = False
    known: bool = False
    image: Image | None = None
    is_readable: bool = False
    problem: str = ''


@dataclass(frozen=True)
class Reading:
    """What is read of a bag.

    Args:
        bag: the recording.
        topics: names of all topics that are read.
        cameras: those with images to segment.
        interval_ns: distance between frames [ns]; 0 takes all.
        start: number of the first image of all cameras; what lies between images belongs to
            the one before.
        count: how many images there should be.
        to_end: whether all that follows is read, however many there are.
        copy_all: whether messages that are no frames are needed as well.
    """

    bag: Bag
    topics: Collection[str]
    cameras: Collection[str]
    interval_ns: int
    start: int
    count: int
    to_end: bool
    copy_all: bool


def read_inputs(
    reading: Reading, kept: Kept, labels: Mapping[str, int]
) -> Generator[Input, None, None]:
    """The messages of a stretch of a recording, in order.

    Args:
        reading: what is read.
        kept: what an earlier run has made.
        labels: the channel of each camera's labels in it.
    """
    clocks = {camera: FrameClock(reading.interval_ns) for camera in reading.cameras}
    labelled = {camera: Counter(kept.times.get(labels[camera], ())) for camera in reading.cameras}
    met: set[str] = set()
    images = 0
    for number, message in enumerate(reading.bag.messages(reading.topics)):
        item = Input(number, message, message.topic in clocks)
        if item.is_camera:
            images += 1
            item.first = message.topic not in met
            met.add(message.topic)
            item.is_frame = clocks[message.topic].takes(_stamp_ns(message))
        place = max(images - 1, 0)
        if place >= reading.start + reading.count and not reading.to_end:
            return
        if place >= reading.start:
            item.written = number <= kept.sequence
            item.known = item.written and not _failed(item, labelled)
            needed = item.is_frame or (reading.copy_all and not item.written)
            yield _loaded(item) if needed and not item.known else item


def _failed(item: Input, labelled: Mapping[str, Counter[int]]) -> bool:
    """Whether an earlier run could not segment a frame; to be asked for each in turn."""
    if not item.is_frame:
        return False
    times = labelled[item.message.topic]
    times[item.message.record_ns] -= 1
    return times[item.message.record_ns] < 0


def _stamp_ns(message: RawMessage) -> int:
    try:
        return message.header_stamp_ns() or message.record_ns
    except BagDamageError:
        return message.record_ns


def _loaded(item: Input) -> Input:
    """Read a message, and decode it if it is a frame."""
    found = item.message
    try:
        read = partial(_beginning, cdr_data(found))
        item.message = found._replace(read=read, ros1=False)
        item.is_readable = True
        if item.is_frame:
            image = decode_message(item.message)
            decode = decode_compressed if hasattr(image, 'format') else decode_image
            item.image = Image(image.header, decode(image))
    except (BagDamageError, ImageDecodeError) as error:
        item.problem = str(error)
    return item


def _beginning(data: bytes, size: int | None) -> bytes:
    return data[:size]
