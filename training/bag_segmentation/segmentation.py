"""One recording through the network, into one file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hrda_core.overlay import blend
from hrda_core.results import Segmentation, certain_labels
from hrda_core.segmenter import Segmenter
from training.ahead import ahead
from training.bag_segmentation.messages import (
    OVERLAY,
    Topics,
    jpeg_image,
    label_info,
    mono_image,
)
from training.bag_segmentation.settings import Making
from training.bag_segmentation.source import Input, Reading, read_inputs
from training.bags.mcap_writer import McapWriter
from training.progress import LINE_EVERY_S, Display
from training.run.stop_signals import StopSignals

AHEAD = 4
"""Frames that are decoded before the network wants them, and results that wait to be written."""


@dataclass
class Tally:
    """What became of the frames of some recordings.

    Attributes:
        labelled: frames segmented now.
        known: frames that earlier runs have segmented.
        left_out: images that --every leaves out.
        refused: frames that could not be segmented.
        damage: what could not be read, and why, one sentence each.
        seconds: time that the frames of now took [s].
        stopped: name of the signal that ended the work early; empty otherwise.
    """

    labelled: int = 0
    known: int = 0
    left_out: int = 0
    refused: int = 0
    damage: list[str] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = ''

    @property
    def frames(self) -> int:
        """Frames with results."""
        return self.labelled + self.known


@dataclass(frozen=True)
class Job:
    """A file to make.

    Args:
        output: the file.
        reading: what it is made of.
        topics: what it holds.
        making: what is made.
        notes: how it is made, for the file.
    """

    output: Path
    reading: Reading
    topics: Topics
    making: Making
    notes: Mapping[str, str]


def segment_bag(
    job: Job, segmenter: Segmenter, tally: Tally, display: Display, stop: StopSignals
) -> bool:
    """Make a file, or go on with it.

    Args:
        job: the file.
        segmenter: the network.
        tally: counts what happens.
        display: shows it.
        stop: ends the work early, with everything in place to go on.

    Returns:
        Whether the file is finished.

    Raises:
        ValueError: another process is making it, or it was begun otherwise.
        OSError: it cannot be written; the same call goes on where this one failed.
    """
    writer = McapWriter(job.output, job.topics.channels, job.notes, job.making.compression)
    with writer:
        results = Results(job, writer, segmenter)
        labels = {camera: made['label'] for camera, made in job.topics.made.items()}
        inputs = ahead(read_inputs(job.reading, writer.kept, labels), AHEAD)
        meter = FrameMeter(job, tally, display)
        with results, closing(inputs):
            for item in inputs:
                if stop.received:
                    tally.stopped = stop.received
                    return False
                found = _segmented(item, segmenter)
                _count(item, job, tally)
                if not item.written:
                    results.put(item, found)
                meter.show(item)
        writer.finish()
    return True


def _segmented(item: Input, segmenter: Segmenter) -> Segmentation | None:
    if item.image is None:
        return None
    try:
        return segmenter.segment(item.image.rgb, stream=item.message.topic)
    except ValueError as error:  # an image of an impossible size
        item.problem = str(error)
        return None


def _count(item: Input, job: Job, tally: Tally) -> None:
    if item.problem:
        tally.refused += item.is_frame
        place = f'{job.reading.bag.path}: {item.message.topic} at {item.message.record_ns} ns'
        tally.damage.append(f'{place}: {item.problem}')
    elif item.is_frame:
        tally.known += item.known
        tally.labelled += not item.known
    elif item.is_camera:
        tally.left_out += 1


class Results:
    """Turns results into messages and writes them, in a thread of its own; use it with `with`.

    Args:
        job: what is made.
        writer: gets the messages.
        segmenter: tells the classes.
    """

    def __init__(self, job: Job, writer: McapWriter, segmenter: Segmenter) -> None:
        self._topics, self._making, self._writer = job.topics, job.making, writer
        self._classes = segmenter.classes
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Results:
        """Nothing is written before the first result."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        """Wait for what is being written; after an error, only for what has been begun."""
        self._thread.shutdown(wait=True, cancel_futures=kind is not None)
        while kind is None and self._waiting:
            self._waiting.popleft().result()

    def put(self, item: Input, result: Segmentation | None) -> None:
        """Write what becomes of a message.

        Raises:
            OSError: an earlier one could not be written.
        """
        self._waiting.append(self._thread.submit(self._write, item, result))
        while len(self._waiting) > AHEAD:
            self._waiting.popleft().result()

    def _write(self, item: Input, result: Segmentation | None) -> None:
        made = self._topics.made.get(item.message.topic, {})
        if item.first:
            least, time_ns = self._making.min_confidence, item.message.record_ns
            self._add(made['label_info'], item, label_info(self._classes, least, time_ns))
        channel = self._topics.copied.get((item.message.topic, item.message.msgtype))
        if channel is not None and (result is not None or self._copies(item)):
            self._add(channel, item, item.message.data())
        if result is not None and item.image is not None:
            header, rgb = item.image
            labels = certain_labels(result.labels, result.confidence, self._making.min_confidence)
            self._add(made['label'], item, mono_image(header, labels))
            self._add(made['confidence'], item, mono_image(header, result.confidence))
            if OVERLAY in made:
                shown = blend(rgb, labels, self._classes.palette, self._making.alpha)
                self._add(made[OVERLAY], item, jpeg_image(header, shown))
        self._writer.settle()

    def _copies(self, item: Input) -> bool:
        """Whether a message without a result is copied."""
        return self._making.copy == 'all' and item.is_readable

    def _add(self, channel: int, item: Input, data: bytes) -> None:
        self._writer.add(channel, item.message.record_ns, item.number, data)


class FrameMeter:
    """Shows how far a recording is, frames per second and the time left.

    Args:
        job: what is made.
        tally: counts the frames.
        display: where it is shown.
    """

    def __init__(self, job: Job, tally: Tally, display: Display) -> None:
        self._total = job.reading.count
        self._tally, self._display = tally, display
        self._seen = self._fresh = 0
        self._labelled, self._seconds = tally.labelled, tally.seconds
        self._started_s = self._shown_s = time.monotonic()
        display.begin(f'{job.reading.bag.name} to {job.output.name}', self._total)

    def show(self, item: Input) -> None:
        """Count a message; show the figures now and then."""
        now = time.monotonic()
        if item.known:
            self._started_s = now  # what earlier runs have done says nothing of the speed
        self._seen += item.is_camera
        self._fresh += item.is_camera and not item.known
        spent = now - self._started_s
        self._tally.seconds = self._seconds + spent
        self._display.advance(self._seen)
        if now - self._shown_s >= LINE_EVERY_S and self._fresh:
            self._shown_s = now
            left_s = (self._total - self._seen) * spent / self._fresh
            rate = (self._tally.labelled - self._labelled) / max(spent, 1e-9)
            self._display.figures(self._seen, self._total, {'frames/s': rate}, left_s)
