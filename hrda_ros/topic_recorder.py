"""Records topics into a rosbag2 (mcap) with the times of receipt; needs rclpy, not ros2 bag.

ros2 run hrda_ros record_topics out_bag /segmentation/label:sensor_msgs/Image --seconds 20
"""

from __future__ import annotations

import shutil
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hrda_ros.message_types import message_class
from hrda_ros.process import StartError, own_arguments, quiet_signals
from hrda_ros.spinning import ros_running

QUEUE_DEPTH = 100
POLL_S = 0.1
ALL_THERE = 'received something on every topic'


def parse_topic(text: str) -> tuple[str, str]:
    """Split TOPIC:TYPE; sensor_msgs/Image is taken for sensor_msgs/msg/Image.

    Raises:
        ArgumentTypeError: there is no topic or no type.
    """
    topic, _, kind = text.partition(':')
    parts = kind.split('/')
    if not topic or len(parts) not in (2, 3) or not all(parts):
        raise ArgumentTypeError(f'{text!r} is not TOPIC:TYPE, as in /a/label:sensor_msgs/Image')
    return topic, f'{parts[0]}/msg/{parts[-1]}'


class TopicRecorder(Node):
    """Writes what it receives, as it was serialized, and counts it.

    Args:
        writer: an open rosbag2 writer.
        topics: pairs of topic and message type.
    """

    def __init__(self, writer: Writer, topics: list[tuple[str, str]]) -> None:
        super().__init__('record_topics')
        self._writer = writer
        self.counts = {self.resolve_topic_name(topic): 0 for topic, _ in topics}
        typestore = get_typestore(Stores.ROS2_JAZZY)
        for topic, kind in topics:
            name = self.resolve_topic_name(topic)
            connection = writer.add_connection(name, kind, typestore=typestore)
            self.create_subscription(
                message_class(kind),
                topic,
                partial(self._write, connection),
                QoSProfile(depth=QUEUE_DEPTH, reliability=ReliabilityPolicy.RELIABLE),
                raw=True,
            )

    def _write(self, connection: Connection, data: bytes) -> None:
        self._writer.write(connection, time.time_ns(), data)
        self.counts[connection.topic] += 1
        if self.counts[connection.topic] == 1 and all(self.counts.values()):
            print(ALL_THERE, flush=True)


def _record(folder: Path, options: Namespace, is_over: Callable[[TopicRecorder], bool]) -> int:
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        node = TopicRecorder(writer, options.topics)
        print('recording ' + ', '.join(node.counts), flush=True)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not is_over(node):
                executor.spin_once(timeout_sec=POLL_S)
        except KeyboardInterrupt:
            pass
        quiet_signals()
        executor.shutdown()
        node.destroy_node()
    print('recorded ' + ', '.join(f'{n} of {topic}' for topic, n in node.counts.items()))
    return sum(node.counts.values())


def _end_condition(options: Namespace) -> Callable[[TopicRecorder], bool]:
    start_s = time.monotonic()

    def is_over(node: TopicRecorder) -> bool:
        enough = options.count and min(node.counts.values()) >= options.count
        late = options.seconds and time.monotonic() - start_s >= options.seconds
        return bool(enough or late)

    return is_over


def parse_arguments(arguments: list[str]) -> Namespace:
    """Options of the command line (without --ros-args)."""
    parser = ArgumentParser(prog='record_topics', description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('bag', type=Path, help='folder to write; must not exist')
    parser.add_argument('topics', nargs='+', type=parse_topic, metavar='TOPIC:TYPE')
    parser.add_argument('--count', type=int, help='end when every topic has this many messages')
    parser.add_argument('--seconds', type=float, help='end after this time; both: the earlier')
    return parser.parse_args(arguments)


def main() -> int:
    """Record until --count, --seconds, SIGINT or SIGTERM; 1 when nothing was received."""
    options = parse_arguments(own_arguments())
    if options.bag.suffix == '.bag':
        raise StartError(f'{options.bag}: readers take a name that ends in .bag for ROS 1')
    if options.bag.exists():
        raise StartError(f'{options.bag} exists already; recordings are never overwritten')
    # In a folder of its own, because the bag's files carry the name of the bag.
    workplace = options.bag.with_name(f'.{options.bag.name}.partial')
    shutil.rmtree(workplace, ignore_errors=True)
    with ros_running():
        try:
            bag = workplace / options.bag.name
            if not _record(bag, options, _end_condition(options)):
                raise StartError('nothing was received, so no bag was written')
            bag.replace(options.bag)
        finally:
            quiet_signals()
            shutil.rmtree(workplace, ignore_errors=True)
    return 0
