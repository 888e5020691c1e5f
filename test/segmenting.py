"""What the tests of `hrda segment-bag` share: the command, and what is in its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.bags.reading import Bag, decode_message

CAMERA = '/camera/image_raw'
TOPIC = f'{CAMERA}/compressed'
SECOND_NS = 1_000_000_000


def command(checkpoint: Path, *arguments: object) -> list[str]:
    options = ['--checkpoint', str(checkpoint), '--device', 'cpu']
    return ['segment-bag', *map(str, arguments), *options]


def contents(*paths: Path) -> list[tuple[str, int, bytes]]:
    """Topic, record time and data of all messages, in order."""
    return [
        (message.topic, message.record_ns, message.data())
        for path in paths
        for message in Bag(path).messages([topic.name for topic in Bag(path).topics()])
    ]


def images(path: Path, topic: str) -> list[Any]:
    return [decode_message(message) for message in Bag(path).messages([topic])]


def topics(path: Path) -> dict[str, int]:
    return {topic.name: topic.count for topic in Bag(path).topics()}
