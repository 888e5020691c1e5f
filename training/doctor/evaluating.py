"""How long the evaluations of a run will take here: one frame is segmented and timed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hrda_core.inference import InferenceSettings
from hrda_core.runtime import Runtime
from hrda_core.segmenter import Segmenter
from training.methods import Method
from training.settings.run import LoopSettings, TrainSettings

QUICK_S = 5.0
"""A frame that takes less is segmented once more: the first one bears the cost of beginning."""


@dataclass(frozen=True)
class Evaluations:
    """What a run looks at between its steps.

    Attributes:
        times: how often.
        frames: looked at each time.
        networks: that segment each frame: the student, and for target scores the teacher too.
    """

    times: int
    frames: int
    networks: int = 1


def planned_evaluations(
    settings: TrainSettings, available: int, *, teacher: bool
) -> Evaluations | None:
    """The evaluations of a run; None where nothing is looked at.

    Args:
        settings: of the run.
        available: frames of the validation set or, without one, of the target.
        teacher: whether the method has one.
    """
    times = _times(settings.loop)
    if settings.validation is not None:
        frames = min(settings.validation.limit or available, available)
        return Evaluations(times, frames) if frames else None
    frames = min(settings.loop.target_score_frames, available)
    if settings.target is None or not frames:
        return None
    return Evaluations(times, frames, 2 if teacher else 1)


def _times(loop: LoopSettings) -> int:
    every = loop.evaluate_every or loop.iterations
    return -(-loop.iterations // every)


def time_frame(
    method: Method, settings: TrainSettings, runtime: Runtime, size: tuple[int, int]
) -> float:
    """Time of one frame of (width, height) [px] through the student, as in an evaluation [s].

    Raises:
        ValueError: frames of this size cannot be segmented.
        RuntimeError: the device has too little memory.
    """
    how = InferenceSettings(str(runtime.device), settings.loop.precision)
    segmenter = Segmenter(method.student, how, live=True)
    image = np.full((size[1], size[0], 3), 127, np.uint8)
    milliseconds = segmenter.segment(image).milliseconds
    if milliseconds < 1e3 * QUICK_S:
        milliseconds = segmenter.segment(image).milliseconds
    return milliseconds / 1e3
