"""A video of a result: class colours over the images of a camera."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np

from hrda_core.classes import Uint8Array
from hrda_core.image_codec import decode_image
from hrda_core.overlay import blend
from training.ahead import ahead
from training.bag_segmentation.segmentation import AHEAD, Job
from training.bag_segmentation.source import read_inputs
from training.bags.mcap_recovery import Kept
from training.bags.reading import Bag, decode_message
from training.progress import Display
from training.video import VideoWriter

UNKNOWN_RATE_HZ = 10.0
"""Taken for a single frame, and where all record times are equal."""
_HIGHEST_RATE_HZ = 240.0


def make_film(job: Job, palette: Uint8Array, film: Path, display: Display) -> int:
    """Make a video of a finished result of one camera, from its labels and the recording.

    Frames of another size than the first are fitted into its, with black borders.

    Args:
        job: the result.
        palette: uint8 (256, 3) RGB, colour of every id.
        film: the video.
        display: shows how far it is.

    Returns:
        Its number of frames.

    Raises:
        OSError: it cannot be written.
    """
    (camera,) = job.topics.made
    times = label_times(job, camera)
    with (
        VideoWriter(film, frame_rate_hz(times)) as video,
        closing(ahead(_overlays(job, camera, palette), AHEAD)) as overlays,
    ):
        for shown in display.track(overlays, film.name, len(times)):
            video.add_fitted(shown)
    return len(times)


def label_times(job: Job, camera: str) -> list[int]:
    """Record times [ns] of the labels of a camera in a finished result, in order."""
    name = job.topics.channels[job.topics.made[camera]['label'] - 1].topic
    return [message.record_ns for message in Bag(job.output).messages([name])]


def frame_rate_hz(times: list[int]) -> float:
    """The rate [Hz] that most frames at some times [ns] were recorded with."""
    middle = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return min(1e9 / middle, _HIGHEST_RATE_HZ) if middle > 0 else UNKNOWN_RATE_HZ


def _overlays(job: Job, camera: str, palette: Uint8Array) -> Generator[Uint8Array, None, None]:
    channel = job.topics.made[camera]['label']
    name = job.topics.channels[channel - 1].topic
    labels = Bag(job.output).messages([name])
    label = next(labels, None)
    nothing = Kept([], 0, -1, {})
    for item in read_inputs(job.reading, nothing, {camera: channel}):
        # A frame that could not be segmented has no labels at its time.
        if label is None or item.image is None or item.message.record_ns != label.record_ns:
            continue
        found = decode_image(decode_message(label))[..., 0]
        yield blend(item.image.rgb, found, palette, job.making.alpha)
        label = next(labels, None)
