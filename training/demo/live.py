"""The demo's live part: node, camera and recorder as processes of their own, on real DDS."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from training.demo.recording import IMAGE_TOPIC

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ('label', 'confidence', 'overlay')
START_TIMEOUT_S = 120.0
LAST_FRAME_S = 5.0
"""Given to the node for the frame that is in work when the camera ends."""
STOP_TIMEOUT_S = 15.0
POLL_S = 0.2
PR_SET_PDEATHSIG = 1


class LiveError(RuntimeError):
    """A process of the live part failed; the message holds the end of its output."""


class Process:
    """A program of hrda_ros, started from the source tree, its output in a log file."""

    def __init__(self, python: Path, script: str, arguments: tuple[str, ...], log: Path) -> None:
        self._name, self._log = script, log
        with log.open('wb') as file:
            self._process = subprocess.Popen(
                [str(python), '-u', str(ROOT / 'scripts' / script), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=ros_environment(),
                preexec_fn=_die_with_parent,
            )

    def wait_for(self, text: str, also_alive: Process | None = None) -> None:
        """Wait until the output has a text; LiveError when the process ends before."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while text not in self._log.read_text(errors='replace'):
            self._check(self._process.poll() is None, f'ended before it said {text!r}')
            self._check(time.monotonic() < deadline_s, f'never said {text!r}')
            if also_alive is not None:
                also_alive.check_alive()
            time.sleep(POLL_S)

    def wait_for_end(self, also_alive: Process) -> None:
        """Wait until the process ends with code 0 while another one must go on."""
        while self._process.poll() is None:
            also_alive.check_alive()
            time.sleep(POLL_S)
        self._check(self._process.returncode == 0, f'ended with {self._process.returncode}')

    def check_alive(self) -> None:
        """LiveError when the process has ended."""
        self._check(self._process.poll() is None, f'ended with {self._process.returncode}')

    def stop(self) -> None:
        """Interrupt the process, as Ctrl-C does; it must end with code 0."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = None
        self._check(code == 0, f'ended with {code} when interrupted')

    def kill(self) -> None:
        """End the process whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _check(self, fine: bool, what: str) -> None:
        if not fine:
            last = ' | '.join(self._log.read_text(errors='replace').splitlines()[-5:])
            raise LiveError(f'{self._name} {what}; {self._log}: {last}')


def _die_with_parent() -> None:
    # A demo that is killed must not leave a node that answers the next demo's camera.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ros_environment() -> dict[str, str]:
    """Environment of the processes: this host alone, and room for whole images in memory."""
    # Writers of images need the larger segment; 41 keeps away from a robot's domain 0.
    profile = str(ROOT / 'config' / 'fastdds.xml')
    defaults = {
        'ROS_DOMAIN_ID': '41',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
        'FASTDDS_DEFAULT_PROFILES_FILE': profile,
    }
    paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {**defaults, **os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}


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
                time.sleep(LAST_FRAME_S)
                node.stop()
            recorder.stop()

    @contextmanager
    def _process(self, script: str, *arguments: str) -> Iterator[Process]:
        process = Process(self.python, script, arguments, self.folder / f'{script}.log')
        try:
            yield process
        finally:
            process.kill()
