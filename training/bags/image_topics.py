"""The image topics of some bags, and which one to take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from hrda_core.image_codec import ENCODINGS, REPUBLISH, ImageDecodeError, check_format
from hrda_core.image_headers import inspect_image
from training.bags.reading import (
    COMPRESSED_IMAGE,
    IMAGE_TYPES,
    Bag,
    BagDamageError,
    RawMessage,
    Topic,
    decode_message,
)

TWIN = '/compressed'
"""Of a raw topic X, the same images are on X/compressed."""
_VIDEO_TYPES = (
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket',
    'foxglove_msgs/msg/CompressedVideo',
    'theora_image_transport/msg/Packet',
)
"""Cameras, too, but their frames cannot be read one by one."""
_FIRST_MESSAGES = 20
"""So many tell the rate of a topic."""


@dataclass(frozen=True)
class ImageTopic:
    """An image topic over all bags.

    Args:
        name: name of the topic.
        msgtype: ROS type.
        count: messages over all bags whose images can be decoded, or over all if none.
        encoding: encoding or format of its first message; empty when that cannot be read.
        problem: why its images cannot be decoded; empty when they can be, in some bag.
        size: 'WIDTHxHEIGHT' of its first image [px]; empty when that cannot be read.
        rate_hz: of its first messages, by record time [Hz]; 0 when there is only one.
        unusable: paths of the bags whose images on it cannot be decoded, and why.
    """

    name: str
    msgtype: str
    count: int
    encoding: str
    problem: str
    size: str
    rate_hz: float
    unusable: Mapping[Path, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        kind = 'compressed' if self.msgtype == COMPRESSED_IMAGE else 'raw'
        words = [f'{kind} {self.encoding or "unknown"}', self.size, f'{self.count} images']
        words += [f'{self.rate_hz:.3g} Hz'] if self.rate_hz else []
        words += ['not usable'] if self.problem else []
        return f'{self.name} ({", ".join(word for word in words if word)})'


class _Look(NamedTuple):
    """What the first messages of a topic of a bag show, as in `ImageTopic`."""

    topic: Topic
    encoding: str = ''
    problem: str = ''
    size: str = ''
    rate_hz: float = 0.0


def list_image_topics(bags: Iterable[Bag]) -> list[ImageTopic]:
    """The image topics with messages over all bags, sorted by name."""
    looks: dict[str, dict[Path, _Look]] = {}
    for bag in bags:
        for topic in bag.promised_topics():
            if topic.msgtype in (*IMAGE_TYPES, *_VIDEO_TYPES) and topic.count:
                found = looks.setdefault(topic.name, {})
                found[bag.path] = _look(bag, topic, list(found.values()))
        bag.drop_unpacked()
    return [_summed(name, found) for name, found in sorted(looks.items())]


def _summed(name: str, looks: Mapping[Path, _Look]) -> ImageTopic:
    """What an image topic is over the bags that have it."""
    usable = [look for look in looks.values() if not look.problem] or list(looks.values())
    shown = next((look for look in usable if look.encoding), usable[0])
    return ImageTopic(
        name,
        shown.topic.msgtype,
        sum(look.topic.count for look in usable),
        shown.encoding,
        shown.problem,
        shown.size,
        shown.rate_hz,
        {path: look.problem for path, look in looks.items() if look.problem},
    )


def choose_topics(
    topics: Sequence[ImageTopic], wanted: Sequence[str], say: Callable[[str], None]
) -> list[ImageTopic]:
    """Take the topics that are asked for, or the only camera there is.

    Of a raw topic X and its compressed twin X/compressed the twin is taken, because its bytes
    are copied unchanged; asking for X takes X where it exists.

    Args:
        topics: what there is; at least one.
        wanted: names of topics, with or without their leading slashes; empty to choose.
        say: gets a sentence when a choice was made.

    Raises:
        ValueError: no such topic, several cameras, or images that cannot be decoded.
    """
    found = [_find(topics, name, say) for name in wanted] or [_only_camera(topics, say)]
    for topic in found:
        if topic.problem:
            raise ValueError(f'{topic.name}: {topic.problem}{_others(topics, topic)}')
    return list(dict.fromkeys(found))


def topics_in(
    bag: Bag,
    topics: Sequence[Topic],
    listed: Sequence[ImageTopic],
    chosen: Sequence[ImageTopic],
    say: Callable[[str], None],
) -> list[str]:
    """Names of the topics of a recording that show the chosen cameras.

    Where it lacks a topic, or has only video on it, and has its twin, that is taken: a camera
    that was recorded raw one day and compressed another is the same camera.

    Args:
        bag: the recording; video without a twin is damage of it.
        topics: what it holds.
        listed: as `list_image_topics` gives them for all recordings.
        chosen: as `choose_topics` gives them.
        say: gets a sentence about each that it lacks.
    """
    there = {t.name for t in topics if t.msgtype in IMAGE_TYPES and t.count}
    problems = {t.name: t.unusable[bag.path] for t in listed if bag.path in t.unusable}
    usable = there - set(problems)
    names = []
    for name in [camera.name for camera in chosen]:
        other = name.removesuffix(TWIN) if name.endswith(TWIN) else name + TWIN
        names += [name] if name in usable else [other] if other in usable else []
        if name in usable:
            continue
        seen = name if name in problems else other
        if seen in problems and other not in usable:
            bag.tell([f'{bag.path}: {seen}: {problems[seen]}'])
            continue
        kind = 'usable images' if name in problems else 'images'
        taking = f'; taking {other}' if other in usable else ''
        say(f'{bag.path} has no {kind} on {name}{taking}')
    return list(dict.fromkeys(names))


def _find(topics: Sequence[ImageTopic], wanted: str, say: Callable[[str], None]) -> ImageTopic:
    by_name = {topic.name: topic for topic in topics}
    name = wanted if wanted.startswith('/') or wanted in by_name else f'/{wanted}'
    if name in by_name:
        return by_name[name]
    if name + TWIN in by_name:
        say(f'{name} was not recorded; taking its compressed twin {name}{TWIN}')
        return by_name[name + TWIN]
    raise ValueError(
        f"--topic '{wanted}' is no image topic of these bags; expected one of: {_join(topics)}"
    )


def _only_camera(topics: Sequence[ImageTopic], say: Callable[[str], None]) -> ImageTopic:
    usable = [topic for topic in topics if not topic.problem] or list(topics)
    names = {topic.name for topic in usable}
    cameras = [topic for topic in usable if topic.name + TWIN not in names]
    if len(cameras) > 1:
        raise ValueError(
            f'there are {len(cameras)} cameras on the image topics {_join(topics)}; choose with '
            '--topic'
        )
    if len(topics) > 1:
        left = [topic.name for topic in topics if topic is not cameras[0]]
        say(
            f'taking {cameras[0].name} (its bytes are copied unchanged), not {", ".join(left)}'
            if cameras[0].msgtype == COMPRESSED_IMAGE
            else f'taking {cameras[0].name}, not {", ".join(left)}'
        )
    return cameras[0]


def _look(bag: Bag, topic: Topic, others: Sequence[_Look]) -> _Look:
    """A look at a topic of a bag, given those at the same topic of others."""
    if topic.msgtype in _VIDEO_TYPES:
        problem = f'messages of type {topic.msgtype} are a video stream; {REPUBLISH}'
        return _Look(topic, 'video', problem)
    alike = next((look for look in others if look.topic.msgtype == topic.msgtype), None)
    if bag.is_packed and alike is not None:
        # To unpack every file for a glance is too much: a camera mostly stays what it is.
        return alike._replace(topic=topic)
    return _first_look(bag, topic, _FIRST_MESSAGES if alike is None else 1)


def _first_look(bag: Bag, topic: Topic, count: int) -> _Look:
    times: list[int] = []
    look = ('', '', '')
    for message in islice(bag.messages([topic.name]), count):
        if not times:
            look = _look_at(message)
        times.append(message.record_ns)
    gaps = sorted(b - a for a, b in pairwise(times))
    gap_ns = gaps[len(gaps) // 2] if gaps else 0
    return _Look(topic, *look, 1e9 / gap_ns if gap_ns > 0 else 0.0)


def _look_at(message: RawMessage) -> tuple[str, str, str]:
    """Encoding, problem and size of an image."""
    try:
        image = decode_message(message)
    except BagDamageError:
        return '', '', ''
    if not hasattr(image, 'format'):
        known = image.encoding.strip().lower() in ENCODINGS
        return image.encoding, '' if known else _unknown(image), f'{image.width}x{image.height}'
    try:
        check_format(image.format)
    except ImageDecodeError as error:
        return image.format, str(error), ''
    try:
        header = inspect_image(bytes(image.data))
    except ImageDecodeError:
        return image.format, '', ''  # one damaged frame says nothing about the others
    return image.format, '', f'{header.width}x{header.height}'


def _unknown(message: object) -> str:
    encoding = getattr(message, 'encoding', '')
    return (
        f"image encoding '{encoding}' is not known; expected one of {', '.join(ENCODINGS)}; "
        'choose a topic with camera images'
    )


def _others(topics: Sequence[ImageTopic], chosen: ImageTopic) -> str:
    rest = [topic for topic in topics if topic is not chosen]
    return f' (other image topics: {_join(rest)})' if rest else ''


def _join(topics: Sequence[ImageTopic]) -> str:
    return ', '.join(map(str, topics))
