"""The segmentation node, noting when each frame came and went: what `hrda bench node` measures.

HRDA_TIMINGS=FILE [HRDA_STAND_IN=MILLISECONDS] \
    python -c 'from hrda_ros import process; process.run("hrda_ros.timed_node")' --ros-args ...
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from hrda_core.classes import CITYSCAPES
from hrda_ros import segmentation_node
from hrda_ros.camera import Camera
from hrda_ros.domain_watch import DomainScores
from hrda_ros.image_segmenter import ImageSegmenter, load_segmenter
from hrda_ros.settings import Settings

FILE, STAND_IN = 'HRDA_TIMINGS', 'HRDA_STAND_IN'
Uint8Array = npt.NDArray[np.uint8]


class StandInResult(NamedTuple):
    """Labels and confidence, uint8 (H, W); there are no windows."""

    labels: Uint8Array
    confidence: Uint8Array
    windows_computed: int = 0
    windows_planned: int = 0
    milliseconds: float = 0.0


class StandIn:
    """Takes the place of a network and computes nothing, so that all else can be seen.

    Args:
        milliseconds: how long it takes all the same, with the CPU free as beside a GPU.
    """

    classes = CITYSCAPES
    description, device, precision = 'a stand-in that computes nothing', 'cpu', 'none'
    most_images = 1
    domain: DomainScores | None = None
    no_domain = 'a stand-in has no domain'

    def __init__(self, milliseconds: float = 0.0) -> None:
        self._milliseconds = milliseconds
        self._results: dict[tuple[int, ...], StandInResult] = {}

    def check_size(self, height: int, width: int) -> None:
        """It takes any."""

    def warm_up(self, height: int, width: int, images: int = 1) -> float:
        """Make the answer for images of a size."""
        rows = np.arange(height) * len(self.classes) // height
        labels = np.repeat(rows.astype(np.uint8)[:, None], width, axis=1)
        self._results[height, width] = StandInResult(labels, np.full_like(labels, 200))
        return 0.0

    def segment_batch(
        self, images: Sequence[Uint8Array], streams: Sequence[str]
    ) -> list[StandInResult]:
        """The answer for images of this size."""
        time.sleep(self._milliseconds / 1e3)
        return [self._results[image.shape[:2]] for image in images]

    def set_limits(
        self, threshold: float | None, budget: int | None, deadline_ms: float | None
    ) -> None:
        """There is nothing to limit."""

    def make_room(self, error: Exception) -> str:
        """It needs no memory that could be given back."""
        return ''


class TimedSegmenter:
    """A segmenter that remembers how long its last call took, in `milliseconds`."""

    def __init__(self, segmenter: ImageSegmenter) -> None:
        self._segmenter = segmenter
        self.milliseconds = 0.0

    def __getattr__(self, name: str) -> Any:
        """Whatever else the node asks of a segmenter."""
        return getattr(self._segmenter, name)

    def segment_batch(self, images: Sequence[Uint8Array], streams: Sequence[str]) -> Any:
        """Pass on, and take the time."""
        started_s = time.monotonic()
        results = self._segmenter.segment_batch(images, streams)
        self.milliseconds = (time.monotonic() - started_s) * 1e3
        return results


class Timings:
    """Writes a line of JSON for every frame that comes and every one that goes.

    Args:
        file: open for writing.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._came_ns: dict[int, int] = {}
        self._segmenter: TimedSegmenter | None = None

    def make_segmenter(self, settings: Settings) -> TimedSegmenter:
        """The network that the settings name, or the stand-in, with a watch in its hand."""
        stand_in_ms = os.environ.get(STAND_IN)
        self._segmenter = TimedSegmenter(
            load_segmenter(settings) if stand_in_ms is None else StandIn(float(stand_in_ms))
        )
        return self._segmenter

    def watch(self, node: segmentation_node.SegmentationNode) -> None:
        """Note the frames of a node that does not spin yet."""
        for camera in node.cameras:
            self._watch(camera)

    def _watch(self, camera: Camera) -> None:
        put, publish = camera.slot.put, camera.outputs.publish

        def noted_put(message: Any, *arguments: Any) -> None:
            stamp_ns = _stamp_ns(message.header)
            self._came_ns[stamp_ns] = time.time_ns()
            self._write('came', stamp_ns)
            put(message, *arguments)

        def noted_publish(header: Any, *arguments: Any) -> None:
            publish(header, *arguments)
            stamp_ns = _stamp_ns(header)
            spent_ms = (time.time_ns() - self._came_ns[stamp_ns]) / 1e6
            for gone_ns in [ns for ns in list(self._came_ns) if ns <= stamp_ns]:
                del self._came_ns[gone_ns]
            inference_ms = self._segmenter.milliseconds if self._segmenter else 0.0
            self._write('went', stamp_ns, spent_ms=spent_ms, inference_ms=inference_ms)

        _replace(camera.slot, 'put', noted_put)
        _replace(camera.outputs, 'publish', noted_publish)

    def _write(self, what: str, stamp_ns: int, **values: float) -> None:
        line = {'what': what, 'stamp_ns': stamp_ns, 'now_ns': time.time_ns(), **values}
        self._file.write(json.dumps(line) + '\n')


def main() -> int:
    """The node's own main; the exit code of the process."""
    if FILE not in os.environ:
        print(f'{FILE} must name a file for the times; `hrda bench node` sets it', file=sys.stderr)
        return 1
    with Path(os.environ[FILE]).open('w', buffering=1) as file:
        timings = Timings(file)
        return segmentation_node.main(timings.make_segmenter, timings.watch)


def _replace(owner: object, name: str, method: Callable[..., None]) -> None:
    # On the one object, because the node itself must run as it does without a watch.
    setattr(owner, name, method)


def _stamp_ns(header: Any) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)
