"""The image topics of some bags, and which one to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hrda_core.image_codec import ENCODINGS, ImageDecodeError, check_format
from training.bags import COMPRESSED_IMAGE, IMAGE_TYPES, Bag, BagDamageError, decode_message

_TWIN = '/compressed'


@dataclass(frozen=True)
class ImageTopic:
    """An image topic over all bags.

    Args:
        name: name of the topic.
        msgtype: ROS type; the compressed one wins where bags differ.
        count: messages over all bags.
        encoding: encoding or format of its first message; empty when that cannot be read.
        problem: why its images cannot be decoded; empty when they can.
    """

    name: str
    msgtype: str
    count: int
    encoding: str
    problem: str

    def __str__(self) -> str:
        kind = 'compressed' if self.msgtype == COMPRESSED_IMAGE else 'raw'
        note = ', not usable' if self.problem else ''
        return f'{self.name} ({kind} {self.encoding or "unknown"}, {self.count} images{note})'


def list_image_topics(bags: Sequence[Bag]) -> list[ImageTopic]:
    """The image topics with messages over all bags, sorted by name."""
    counts: dict[str, int] = {}
    types: dict[str, str] = {}
    holder: dict[str, Bag] = {}
    for bag in bags:
        for topic in bag.topics():
            if topic.msgtype in IMAGE_TYPES and topic.count:
                counts[topic.name] = counts.get(topic.name, 0) + topic.count
                types.setdefault(topic.name, topic.msgtype)
                holder.setdefault(topic.name, bag)
    return [
        ImageTopic(name, types[name], counts[name], *_first_look(holder[name], name))
        for name in sorted(counts)
    ]


def choose_topic(
    topics: Sequence[ImageTopic], wanted: str | None, say: Callable[[str], None]
) -> ImageTopic:
    """Take the topic that is asked for, or the only camera there is.

    Of a raw topic X and its compressed twin X/compressed the twin is taken, because its bytes
    are copied unchanged; asking for X takes X where it exists.

    Args:
        topics: what there is; at least one.
        wanted: name of a topic, with or without its leading slash; None to choose.
        say: gets a sentence when a choice was made.

    Raises:
        ValueError: no such topic, several cameras, or images that cannot be decoded.
    """
    topic = _find(topics, wanted, say) if wanted else _only_camera(topics, say)
    if topic.problem:
        raise ValueError(f'{topic.name}: {topic.problem}{_others(topics, topic)}')
    return topic


def _find(topics: Sequence[ImageTopic], wanted: str, say: Callable[[str], None]) -> ImageTopic:
    by_name = {topic.name: topic for topic in topics}
    name = wanted if wanted.startswith('/') or wanted in by_name else f'/{wanted}'
    if name in by_name:
        return by_name[name]
    if name + _TWIN in by_name:
        say(f'{name} was not recorded; taking its compressed twin {name}{_TWIN}')
        return by_name[name + _TWIN]
    raise ValueError(
        f"--topic '{wanted}' is no image topic of these bags; expected one of: {_join(topics)}"
    )


def _only_camera(topics: Sequence[ImageTopic], say: Callable[[str], None]) -> ImageTopic:
    usable = [topic for topic in topics if not topic.problem] or list(topics)
    names = {topic.name for topic in usable}
    cameras = [topic for topic in usable if topic.name + _TWIN not in names]
    if len(cameras) > 1:
        raise ValueError(
            f'there are {len(cameras)} image topics: {_join(topics)}; choose one with --topic'
        )
    if len(topics) > 1:
        left = [topic.name for topic in topics if topic is not cameras[0]]
        say(
            f'taking {cameras[0].name} (its bytes are copied unchanged), not {", ".join(left)}'
            if cameras[0].msgtype == COMPRESSED_IMAGE
            else f'taking {cameras[0].name}, not {", ".join(left)}'
        )
    return cameras[0]


def _first_look(bag: Bag, name: str) -> tuple[str, str]:
    """Encoding and problem of a topic, from its first message."""
    message = None
    for found in bag.messages([name]):
        try:
            message = decode_message(found)
        except BagDamageError:
            return '', ''
        break
    if message is None:
        return '', ''
    if not hasattr(message, 'format'):
        problem = '' if message.encoding.strip().lower() in ENCODINGS else _unknown(message)
        return message.encoding, problem
    try:
        check_format(message.format)
    except ImageDecodeError as error:
        return message.format, str(error)
    return message.format, ''


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
