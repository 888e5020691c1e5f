"""Camera, node and reader as processes of their own, and what each of them noted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from training.bags.writing import ImageBagWriter
from training.benchmark.pictures import made_up_image
from training.ros_processes import PROFILE_VARIABLES, Process, ros_environment, ros_process

TOPIC = '/bench/image'
FRAMES = 12
"""Different pictures of the camera, repeated."""
SETTLE_S = 2.0
"""Given to the reader to find the node, and to the last frame to arrive."""
SAMPLE_S = 0.5
DOMAINS = range(50, 100)
"""ROS domains away from a robot's, of which each benchmark takes one."""


@dataclass(frozen=True)
class NodeRun:
    """One measurement.

    Attributes:
        name: what is measured, in words.
        topics: outputs of the node that are read.
        seconds: how long [s].
        checkpoint: network of the node; None for a stand-in that computes nothing.
        stand_in_ms: how long the stand-in takes all the same [ms].
        profile: whether the Fast DDS profile that comes along is used.
        parameters: further ones of the node, as NAME:=VALUE.
    """

    name: str
    topics: tuple[str, ...]
    seconds: float
    checkpoint: Path | None = None
    stand_in_ms: float = 0.0
    profile: bool = True
    parameters: tuple[str, ...] = ()


class MemorySample(NamedTuple):
    """Memory of the node at a time.

    Attributes:
        now_ns: when [ns since the epoch].
        rss_mb: resident memory [MB].
    """

    now_ns: int
    rss_mb: float


class Noted(NamedTuple):
    """What was noted in a run.

    Attributes:
        run: what was done.
        hz: rate of the camera [Hz].
        node: a line per frame that came to the node or went from it, see hrda_ros/timed_node.py.
        reader: a line per image that was read, see hrda_ros/topic_meter.py.
        memory: of the node.
    """

    run: NodeRun
    hz: float
    node: list[dict[str, Any]]
    reader: list[dict[str, Any]]
    memory: list[MemorySample]


def write_camera(path: Path, size: tuple[int, int], hz: float) -> Path:
    """A bag of raw images, (width, height) [px], for the camera of all runs."""
    with ImageBagWriter(path, 'camera_optical_frame') as bag:
        for number in range(FRAMES):
            bag.write_rgb(TOPIC, round((1 + number / hz) * 1e9), made_up_image(number, size))
    return path


class Bench:
    """Runs camera, node and reader.

    Args:
        python: interpreter that finds rclpy and torch.
        folder: for logs and notes.
        bag: of the camera, see `write_camera`.
        hz: rate of the camera [Hz].
    """

    def __init__(self, python: Path, folder: Path, bag: Path, hz: float) -> None:
        self._python, self._folder, self._bag, self._hz = python, folder, bag, hz

    def measure(self, run: NodeRun, say: Callable[[str], None]) -> Noted:
        """Do a run.

        Raises:
            LiveError: a process ended early or failed.
        """
        folder = self._folder / run.name.replace(' ', '_').replace(',', '')
        folder.mkdir(parents=True, exist_ok=True)
        notes = {name: folder / f'{name}.jsonl' for name in ('node', 'reader')}
        read = (str(notes['reader']), *run.topics)
        with (
            self._start('measure_topics', folder, run, *read) as reader,
            self._start_node(folder, run, notes['node']) as node,
        ):
            reader.wait_for('measuring')
            node.wait_for(TOPIC)
            time.sleep(SETTLE_S)
            options = ('--hz', str(self._hz), '--loop', '--start-when-subscribed')
            with self._start('play_bag', folder, run, str(self._bag), *options) as camera:
                camera.wait_for('playing', also_alive=node)
                memory = self._watch(node, run, say)
                camera.stop()
            time.sleep(SETTLE_S)
            node.stop()
            reader.stop()
        return Noted(run, self._hz, *(read_lines(notes[name]) for name in notes), memory)

    def _start_node(
        self, folder: Path, run: NodeRun, notes: Path
    ) -> AbstractContextManager[Process]:
        parameters = list(run.parameters)
        if run.checkpoint is not None:
            parameters.append(f'checkpoint:={run.checkpoint.resolve()}')
        given = [word for parameter in parameters for word in ('-p', parameter)]
        arguments = ('--ros-args', '-r', f'image:={TOPIC}', *given)
        return self._start('segment_timed', folder, run, *arguments, HRDA_TIMINGS=str(notes))

    def _start(self, script: str, folder: Path, run: NodeRun, *arguments: str, **more: str) -> Any:
        environment = ros_environment() | more
        environment['ROS_DOMAIN_ID'] = str(DOMAINS[os.getpid() % len(DOMAINS)])
        if run.checkpoint is None:
            environment['HRDA_STAND_IN'] = str(run.stand_in_ms)
        if not run.profile:
            for name in PROFILE_VARIABLES:
                environment.pop(name, None)
        log = folder / f'{script}.log'
        return ros_process(self._python, script, arguments, log, environment)

    def _watch(
        self, node: Process, run: NodeRun, say: Callable[[str], None]
    ) -> list[MemorySample]:
        """The node's memory until the time is over."""
        samples: list[MemorySample] = []
        end_s, told_s = time.monotonic() + run.seconds, time.monotonic()
        while (now_s := time.monotonic()) < end_s:
            node.check_alive()
            samples.append(MemorySample(time.time_ns(), resident_mb(node.pid)))
            if now_s - told_s >= 30:
                told_s = now_s
                say(f'{run.name}: {end_s - now_s:.0f} s left, {samples[-1].rss_mb:.0f} MB')
            time.sleep(SAMPLE_S)
        return samples


def resident_mb(pid: int) -> float:
    """Resident memory of a process [MB]; 0 if it has ended."""
    try:
        pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON; one that was cut off is left out."""
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines
