"""Plays one topic of a rosbag2 as if it came from a live sensor; needs rclpy, not ros2 bag.

ros2 run hrda_ros play_bag drive.mcap --topic /cam/image --to /camera/image_raw --hz 5
"""

from __future__ import annotations

import struct
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from hrda_ros.message_types import message_class
from hrda_ros.process import StartError, own_arguments
from hrda_ros.spinning import ros_running

NAMES = 'the folder of a rosbag2, or its .mcap or .db3 file'
MENDING = (
    '`mcap recover` (.mcap), `sqlite3 FILE .recover` (.db3) or `ros2 bag reindex` (no '
    'metadata.yaml) may mend it'
)
NO_IMAGES = 'no image topic'
IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
STAMP_OFFSET = 4  # behind the encapsulation bytes of CDR
POLL_S = 0.02
SETTLE_S = 1.0
ACK_TIMEOUT_S = 2


def restamp(data: bytes, stamp_ns: int) -> bytes:
    """Serialized message whose first field is a std_msgs/Header, with another stamp.

    Args:
        data: CDR bytes, either byte order.
        stamp_ns: the new stamp in nanoseconds since the epoch.
    """
    order = '<' if data[1] & 1 else '>'
    stamp = struct.pack(f'{order}iI', *divmod(stamp_ns, 10**9))
    return data[:STAMP_OFFSET] + stamp + data[STAMP_OFFSET + len(stamp) :]


def open_bag(path: Path) -> AnyReader:
    """An open reader of a rosbag2.

    Raises:
        StartError: there is none, it cannot be opened, or it is a bag of ROS 1.
    """
    if not path.exists():
        raise StartError(f'{path}: there is no such file or folder; name {NAMES}')
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except Exception as error:  # rosbags lets those of YAML, SQLite and compression through
        raise StartError(
            f'{path}: cannot be opened as a recording ({in_words(error)}); name {NAMES}; if it '
            f'is one, {MENDING}'
        ) from error
    if not reader.is2:
        reader.close()
        raise StartError(
            f'{path}: a bag of ROS 1; convert it first: rosbags-convert --src {path} '
            f'--dst {path.with_suffix("")}'
        )
    return reader


def in_words(error: Exception) -> str:
    """What an error says, in one line; its type if it says nothing."""
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__


def choose_connections(reader: AnyReader, topic: str | None) -> list[Connection]:
    """The bag's connections of a topic; without a name, of its only image topic.

    Raises:
        StartError: no such topic, or the choice is not clear; names the topics there are.
    """
    types = {connection.topic: connection.msgtype for connection in reader.connections}
    if not types:
        raise StartError(
            f'{reader.paths[0]}: no topics; record them anew, the image topic among them'
        )
    images = [name for name, message_type in types.items() if message_type in IMAGE_TYPES]
    if topic is None and len(images) == 1:
        topic = images[0]
    if topic not in types:
        found = ', '.join(f'{name} ({kind})' for name, kind in sorted(types.items()))
        wanted = f'no topic {topic}' if topic else 'several image topics' if images else NO_IMAGES
        raise StartError(
            f'{reader.paths[0]}: {wanted}; choose with --topic (topic:= of bag.launch.py) among '
            f'what it has: {found}'
        )
    return [connection for connection in reader.connections if connection.topic == topic]


def has_header(kind: type[Any]) -> bool:
    """Whether messages of this class begin with a std_msgs/Header."""
    members = kind.get_fields_and_field_types()
    return next(iter(members.values()), '') == 'std_msgs/Header'


def due_s(options: Namespace, index: int, recorded_s: float) -> float:
    """When to publish a message, in seconds after the first.

    Args:
        options: with `hz` (a fixed rhythm) or `rate` (times the recorded speed).
        index: 0 for the first message.
        recorded_s: seconds between the records of the first message and this one.
    """
    return float(index / options.hz if options.hz else recorded_s / options.rate)


class BagPlayer:
    """Publishes the messages of some connections, on time, once or in a loop."""

    def __init__(self, reader: AnyReader, connections: list[Connection], options: Namespace):
        self._reader = reader
        self._connections = connections
        self._options = options
        self._restamp = not options.keep_stamps and has_header(
            message_class(connections[0].msgtype)
        )
        self._start_s, self._played = time.monotonic(), 0

    def play(self, publisher: Publisher) -> int:
        """Publish everything once; how many messages that were.

        A fixed rhythm goes on from one call to the next; the recorded one begins anew.

        Raises:
            StartError: the bag is damaged; what lies before that was published.
        """
        if not (self._options.hz and self._played):
            self._start_s, self._played = time.monotonic(), 0
        first_ns, count = 0, 0
        for _, record_ns, data in self._messages():
            first_ns = first_ns if count else record_ns
            recorded_s = (record_ns - first_ns) / 1e9
            due = self._start_s + due_s(self._options, self._played, recorded_s)
            time.sleep(max(0.0, due - time.monotonic()))
            publisher.publish(restamp(data, time.time_ns()) if self._restamp else bytes(data))
            count += 1
            self._played += 1
        return count

    def _messages(self) -> Iterator[tuple[Connection, int, bytes]]:
        read = 0
        try:
            for message in self._reader.messages(self._connections):
                yield message
                read += 1
        except Exception as error:  # rosbags lets those of SQLite and compression through
            raise StartError(
                f'{self._options.bag}: damaged behind its first {read} messages '
                f'({in_words(error)}), which were published; {MENDING}'
            ) from error


def _wait_for_subscribers(publisher: Publisher, count: int) -> None:
    print(f'waiting for {count} subscriber(s) of {publisher.topic_name}', flush=True)
    while publisher.get_subscription_count() < count:
        time.sleep(POLL_S)
    # A subscriber that is seen here may not see this publisher yet and would miss the start.
    time.sleep(SETTLE_S)


def _play(node: Node, reader: AnyReader, options: Namespace) -> None:
    connections = choose_connections(reader, options.topic)
    topic, message_type = connections[0].topic, connections[0].msgtype
    policy = ReliabilityPolicy[options.reliability.upper()]
    publisher = node.create_publisher(
        message_class(message_type), options.to or topic, QoSProfile(depth=5, reliability=policy)
    )
    _wait_for_subscribers(publisher, options.start_when_subscribed)
    player = BagPlayer(reader, connections, options)
    print(f'playing {topic} ({message_type}) as {publisher.topic_name}', flush=True)
    start_s = time.monotonic()
    count = player.play(publisher)
    if not count:
        raise StartError(
            f'{options.bag}: {topic} has no messages; choose another topic with --topic, or '
            'record it anew'
        )
    while options.loop:
        count += player.play(publisher)
    publisher.wait_for_all_acked(Duration(seconds=ACK_TIMEOUT_S))
    print(f'played {count} messages in {time.monotonic() - start_s:.1f} s', flush=True)


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise ValueError
    return value


_positive.__name__ = 'positive number'


def parse_arguments(arguments: list[str]) -> Namespace:
    """Options of the command line (without --ros-args)."""
    parser = ArgumentParser(prog='play_bag', description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('bag', type=Path, help='folder of a rosbag2, or a .mcap or .db3 file')
    parser.add_argument('--topic', help='topic in the bag (default: its only image topic)')
    parser.add_argument('--to', help='topic to publish on (default: the same)')
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument('--rate', type=_positive, default=1.0, help='times the recorded speed')
    pace.add_argument('--hz', type=_positive, help='messages per second, whatever was recorded')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--start-when-subscribed',
        type=int,
        nargs='?',
        const=1,
        default=0,
        metavar='N',
        help='wait until N (1) others listen',
    )
    parser.add_argument(
        '--keep-stamps', action='store_true', help="keep the headers' stamps (default: now)"
    )
    parser.add_argument('--reliability', choices=('reliable', 'best_effort'), default='reliable')
    return parser.parse_args(arguments)


def main() -> int:
    """Play until the bag's end, SIGINT or SIGTERM; the exit code of the process."""
    options = parse_arguments(own_arguments())
    with ros_running(), closing(open_bag(options.bag)) as reader:
        _play(Node('play_bag', start_parameter_services=False), reader, options)
    return 0
