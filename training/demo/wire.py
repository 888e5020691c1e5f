"""What came back over the wire: counts, rates and latencies of the recorded topics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hrda_core.classes import Uint8Array
from hrda_core.image_codec import decode_image
from training.bags.reading import Bag, decode_message


@dataclass(frozen=True)
class TopicFigures:
    """One recorded topic.

    Attributes:
        topic: its name.
        messages: how many came.
        rate_hz: messages per second between the first and the last; nan below two.
        latency_ms: from the camera's stamp to the receipt, median; nan without messages.
        latency_p95_ms: the same, 95th percentile.
    """

    topic: str
    messages: int
    rate_hz: float
    latency_ms: float
    latency_p95_ms: float


def topic_figures(bag: Path) -> list[TopicFigures]:
    """Figures of every topic of a recording, by name."""
    times: dict[str, list[tuple[int, int]]] = {}
    opened = Bag(bag)
    for message in opened.messages([topic.name for topic in opened.topics()]):
        pair = (message.record_ns, message.header_stamp_ns())
        times.setdefault(message.topic, []).append(pair)
    return [_figures(topic, np.array(pairs)) for topic, pairs in sorted(times.items())]


def last_image(bag: Path, topic: str) -> Uint8Array:
    """The newest image of a topic, uint8 (H, W, 3) RGB.

    Raises:
        ValueError: the bag has no message of it.
    """
    newest = None
    for message in Bag(bag).messages([topic]):
        newest = decode_message(message)
    if newest is None:
        raise ValueError(f'{bag}: nothing was received on {topic}')
    return decode_image(newest)


def _figures(topic: str, times: np.ndarray) -> TopicFigures:
    received, stamped = times.T
    seconds = (received.max() - received.min()) / 1e9
    latency = (received - stamped) / 1e6
    return TopicFigures(
        topic,
        len(times),
        (len(times) - 1) / seconds if seconds else float('nan'),
        float(np.median(latency)),
        float(np.percentile(latency, 95)),
    )
