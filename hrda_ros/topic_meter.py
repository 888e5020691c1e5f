"""Notes when the images of some topics arrive, without keeping them: what a reader of them gets.

measure_topics FILE TOPIC... [--reliability reliable]     a line of JSON for every message
"""

from __future__ import annotations

import json
import struct
import time
from argparse import ArgumentParser
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from hrda_ros.process import own_arguments
from hrda_ros.spinning import ros_running, spin

DEPTH = 5


class TopicMeter(Node):
    """Writes topic, header stamp and time of receipt of every image.

    Args:
        file: open for writing.
        topics: names of image topics.
        reliability: asked of their publishers.
    """

    def __init__(self, file: TextIO, topics: list[str], reliability: ReliabilityPolicy) -> None:
        super().__init__('measure_topics', start_parameter_services=False)
        self._file = file
        profile = QoSProfile(depth=DEPTH, reliability=reliability)
        for topic in topics:
            # Raw, because a reader's own work is not what is measured.
            self.create_subscription(Image, topic, partial(self._note, topic), profile, raw=True)

    def _note(self, topic: str, data: bytes) -> None:
        # CDR: the header's stamp follows four bytes of encapsulation (OMG DDSI-RTPS 10.2).
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
        stamp_ns = seconds * 10**9 + nanoseconds
        line = {'topic': topic, 'stamp_ns': stamp_ns, 'now_ns': time.time_ns()}
        self._file.write(json.dumps(line) + '\n')


def main() -> int:
    """Note until SIGINT or SIGTERM; the exit code of the process."""
    parser = ArgumentParser(prog='measure_topics', description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('file', type=Path, help='gets the lines')
    parser.add_argument('topics', nargs='+', metavar='TOPIC', help='of sensor_msgs/Image')
    parser.add_argument(
        '--reliability', choices=('reliable', 'best_effort'), default='best_effort'
    )
    options = parser.parse_args(own_arguments())
    with (
        ros_running(),
        suppress(KeyboardInterrupt),
        options.file.open('w', buffering=1) as file,
    ):
        policy = ReliabilityPolicy[options.reliability.upper()]
        node = TopicMeter(file, options.topics, policy)
        print('measuring ' + ', '.join(options.topics), flush=True)
        spin(node)
    return 0
