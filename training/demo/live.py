"""The demo's live part: node, camera and recorder as processes of their own, on real DDS."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from training.demo.recording import IMAGE_TOPIC
from training.ros_processes import Process, ros_process

OUTPUTS = ('label', 'confidence', 'overlay')
LAST_FRAME_S = 5.0
"""Given to the node for the frame that is in work when the camera ends."""


@dataclass(frozen=True)
class Live:
    """What runs where.

    Attributes:
        python: interpreter that finds rclpy and torch.
        folder: where logs and the recording go.
        hz: rate of the camera [Hz].
    """

    python: Path
    folder: Path
    hz: float

    @property
    def recording(self) -> Path:
        """The bag of what came back over the wire."""
        return self.folder / 'recording'

    def run(self, checkpoint: Path, bag: Path) -> None:
        """Play a bag as a camera through the node and record what comes back.

        Raises:
            LiveError: a process ended early, failed, or nothing came back.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        topics = [f'/segmentation/{name}:sensor_msgs/msg/Image' for name in OUTPUTS]
        with self._process('record_topics', str(self.recording), *topics) as recorder:
            recorder.wait_for('recording')
            node_arguments = ('--ros-args', '-p', f'checkpoint:={checkpoint.resolve()}')
            remap = ('-r', f'image:={IMAGE_TOPIC}')
            with self._process('segment', *node_arguments, *remap) as node:
                node.wait_for(IMAGE_TOPIC)
                camera = ('--topic', IMAGE_TOPIC, '--hz', str(self.hz))
                with self._process(
                    'play_bag', str(bag), *camera, '--start-when-subscribed'
                ) as player:
                    player.wait_for('playing', also_alive=node)
                    player.wait_for_end(also_alive=node)
                # A slow machine warms up for longer than the camera plays.
                recorder.wait_for('received something on every topic', also_alive=node)
                time.sleep(LAST_FRAME_S)
                node.stop()
            recorder.stop()

    def _process(self, script: str, *arguments: str) -> AbstractContextManager[Process]:
        return ros_process(self.python, script, arguments, self.folder / f'{script}.log')
