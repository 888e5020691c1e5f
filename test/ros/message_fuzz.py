"""Random image messages, good and bad; as a program, thousands of them and what memory grew.

Usage: python test/ros/message_fuzz.py [--messages 10000] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from hrda_core.image_codec import ENCODINGS

ABSURD = (0, 1, 2, 3, 65535, 2**31 - 1, 2**32 - 1)
NAMES = (*ENCODINGS, *map(str.upper, ENCODINGS), '', '32FC1', 'rgb8 ', 'x' * 5000, '\u00e4\u4e16')
FORMATS = ('jpeg', 'png', 'bgr8; jpeg compressed bgr8', '', 'h264', '16UC1; compressedDepth', '?')
WARM_SHARE = 0.2
MOST_GROWTH = 0.02


def random_image(chance: random.Random) -> Any:
    """A sensor_msgs/Image of which any field may be wrong; about a third are right."""
    from sensor_msgs.msg import Image

    height, width = chance.randint(1, 32) * 2, chance.randint(1, 32) * 2
    message = Image(encoding=chance.choice(NAMES), is_bigendian=chance.randint(0, 255))
    message.step = chance.choice((1, 2, 3, 4, 6)) * width + chance.choice((0, 0, 0, 7))
    rows = height * chance.choice((1, 1, 1.5, 3))
    if chance.random() < 0.4:
        message.encoding, message.step, rows = 'rgb8', 3 * width, height
    size = int(message.step * rows) + chance.choice((0, 0, 0, -1, 1, -100))
    message.height, message.width = height, width
    if chance.random() < 0.2:
        name = chance.choice(('height', 'width', 'step'))
        setattr(message, name, chance.choice(ABSURD))
    message.data.frombytes(chance.randbytes(max(size, 0)))
    _stamp(message.header, chance)
    return message


def random_compressed(chance: random.Random) -> Any:
    """A sensor_msgs/CompressedImage, whole, damaged, cut off, huge by its header, or garbage."""
    from sensor_msgs.msg import CompressedImage

    suffix = chance.choice(('.jpg', '.png'))
    shape = (chance.randint(1, 64), chance.randint(1, 64), chance.choice((1, 3)))
    pixels = np.frombuffer(chance.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)
    data = bytearray(cv2.imencode(suffix, pixels)[1].tobytes())
    damage: Callable[[], None] = chance.choice(
        (
            lambda: None,
            lambda: data.__delitem__(slice(chance.randrange(len(data)), None)),
            lambda: data.__setitem__(chance.randrange(len(data)), chance.randrange(256)),
            lambda: _claim_size(data),
            lambda: data.__setitem__(slice(None), chance.randbytes(chance.randint(0, 200))),
        )
    )
    damage()
    message = CompressedImage(format=chance.choice(FORMATS))
    message.data.frombytes(bytes(data))
    _stamp(message.header, chance)
    return message


def _claim_size(data: bytearray) -> None:
    """Let the header of a JPEG or PNG claim 65535 rows and columns."""
    start = data.find(b'\xff\xc0')
    if start >= 0:
        data[start + 5 : start + 9] = b'\xff' * 4
    elif data.find(b'IHDR') >= 0:
        data[16:24] = b'\x00\x00\xff\xff' * 2


def _stamp(header: Any, chance: random.Random) -> None:
    header.stamp.sec = chance.choice((0, -1, 1, 2**31 - 1, 1_700_000_000))
    header.stamp.nanosec = chance.choice((0, 1, 999_999_999, 2**32 - 1))
    header.frame_id = chance.choice(('', 'front', 'f' * 1000))


class Fuzz:
    """Sends messages to a node of the same graph, one after the other.

    Args:
        graph: of the tests.
        transport: raw or compressed.
        seed: of the messages.

    Attributes:
        node: with the tiny segmenter.
        labels: how many label images came.
    """

    def __init__(self, graph: Any, transport: str, seed: int = 0) -> None:
        from sensor_msgs.msg import CompressedImage, Image

        self._graph, self._chance = graph, random.Random(seed)
        self._make = random_image if transport == 'raw' else random_compressed
        self.node = graph.start_node(image_transport=transport)
        self.labels = 0
        graph.peer.create_subscription(Image, 'segmentation/label', self._count_label, 10)
        kind, topic = (
            (Image, 'image') if transport == 'raw' else (CompressedImage, 'image/compressed')
        )
        self._camera = graph.camera(topic=topic, kind=kind)
        graph.spin_until(self.node.cameras[0].outputs.wanted)
        graph.spin_until(lambda: self.node.cameras[0].input.policy.name == 'RELIABLE')
        graph.spin_until(lambda: self._camera.get_subscription_count() == 1)

    def _count_label(self, _message: Any) -> None:
        self.labels += 1

    def finished(self) -> int:
        """Frames that the node is done with, in one way or the other."""
        statistics = self.node.cameras[0].statistics
        return statistics._processed + sum(statistics._dropped.values())

    def send(self, messages: int) -> None:
        """Send random messages, each when the node is done with the one before."""
        for _ in range(messages):
            self.send_one(self._make(self._chance))

    def send_one(self, message: Any) -> None:
        """Send a message and wait until the node is done with it."""
        before = self.finished()
        self._camera.publish(message)
        self._graph.spin_until(lambda: self.finished() > before)


def resident_kib() -> int:
    """Memory of this process that is in RAM [KiB]."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') // 1024


def main() -> int:
    """Send thousands to both transports; 1 if memory grew by more than 2 % after a warm-up."""
    from ros.conftest import Graph

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=10_000, help='all in all')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    failed = False
    for transport in ('raw', 'compressed'):
        graph = Graph()
        fuzz = Fuzz(graph, transport, arguments.seed)
        count = arguments.messages // 2
        warm = int(count * WARM_SHARE)
        fuzz.send(warm)
        before = resident_kib()
        fuzz.send(count - warm)
        growth = resident_kib() / before - 1
        failed |= growth > MOST_GROWTH
        dropped = dict(fuzz.node.cameras[0].statistics.snapshot().dropped)
        print(
            f'{transport}: {count} messages, {fuzz.labels} labelled, dropped {dropped}; memory '
            f'{before} KiB after {warm} messages, then {growth:+.2%}'
        )
        graph.close()
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
