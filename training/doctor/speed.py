"""How long a step takes here, how long the whole run would, and whether loading keeps up."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from hrda_core.classes import ClassSet
from hrda_core.runtime import Runtime
from training.doctor.findings import Findings
from training.methods import Method
from training.progress import Display, PlainDisplay, duration
from training.run.assembly import Batches, Parts
from training.run.folder import RunFolder
from training.run.launch import lone_workplace
from training.settings.run import TrainSettings

MOST_STEPS = 6
LIMIT_S = 60.0
"""Timing ends after the step that passes half of this [s]."""
LITTLE_WAITING = 0.1
"""Waiting for data that is not worth a word, as a share of a step."""
SHOWN_CROPS = 6

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """The first batches of the run, and what loading them took.

    Attributes:
        batches: as the run's first steps will see them.
        image_s: time that one process needs per image, crop and all [s]; files in the cache.
    """

    batches: tuple[Batch, ...]
    image_s: float


@dataclass(frozen=True)
class Speed:
    """What a run will take on this machine.

    Attributes:
        step_s: time of one step, data at hand [s].
        steps: so many were timed.
        load_s: time in which the loading processes fill one batch [s].
        workers: loading processes per set; without any, loading and learning take turns.
        iterations: steps of the run.
        evaluations: how often it looks at frames between them.
        evaluation_s: time of each look [s]; writing scores and pictures is not in it.
    """

    step_s: float
    steps: int
    load_s: float
    workers: int
    iterations: int
    evaluations: int = 0
    evaluation_s: float = 0.0

    @property
    def whole_step_s(self) -> float:
        """A step and its data [s]."""
        parts = (self.step_s, self.load_s)
        return max(parts) if self.workers else sum(parts)

    @property
    def run_s(self) -> float:
        """The whole run with its evaluations [s]."""
        return self.whole_step_s * self.iterations + self.evaluations * self.evaluation_s

    def sentence(self) -> str:
        """The estimate in words."""
        looks = (
            f' and {self.evaluations} evaluations of {duration(self.evaluation_s)} each'
            if self.evaluations
            else ', without evaluations'
        )
        return (
            f'{self.step_s:.3g} s per step ({self.steps} timed), loading {self.load_s:.3g} s per '
            f'step: about {duration(self.run_s)} h:mm:ss for {self.iterations} steps{looks}'
        )


def load_batches(settings: TrainSettings, classes: ClassSet, display: Display) -> Loaded:
    """Load the batches of the run's first steps in this process."""
    loop = dataclasses.replace(settings.loop, workers=0)
    batches = Batches(dataclasses.replace(settings, loop=loop), classes, False, display)
    count = math.ceil(SHOWN_CROPS / (loop.batch_size * loop.accumulate))
    start = time.perf_counter()
    loaded = tuple(batches(range(count)))
    seconds = time.perf_counter() - start
    images = sum(len(part['image']) for batch in loaded for part in batch.values())
    return Loaded(loaded, seconds / images)


class _Enough(Exception):
    """Ends the training loop between two steps, with nothing saved."""


def time_steps(
    method: Method,
    settings: TrainSettings,
    runtime: Runtime,
    batches: Sequence[Batch],
    display: Display,
) -> tuple[float, int]:
    """Take real steps of the training loop on given batches; the weights move.

    Returns:
        Seconds per step, the first one left out where there are more; and how many were taken.

    Raises:
        ValueError: a loss is infinite or no number.
        RuntimeError: the device has too little memory.
    """
    parts = settings.loop.accumulate
    asked: list[float] = []

    def give(_: range) -> Iterator[Batch]:
        for batch in itertools.cycle(batches):
            # The loop has waited for the device before it asks for the next batch.
            asked.append(time.perf_counter())
            steps = len(asked) // parts
            display.advance(min(steps, MOST_STEPS))
            if steps > MOST_STEPS or (steps > 1 and asked[-1] - asked[0] > LIMIT_S / 2):
                raise _Enough
            yield batch

    quiet = PlainDisplay(Console(quiet=True))
    display.begin('timing steps', MOST_STEPS)
    with TemporaryDirectory(prefix='hrda_doctor_') as folder, contextlib.suppress(_Enough):
        place = RunFolder(folder)
        runs = Parts(_without_pauses(settings), method, give, None, (), lone_workplace(runtime))
        runs.loop(place, quiet).run()
    seconds = [parts * (b - a) for a, b in itertools.pairwise(asked)]
    return median(seconds[parts:] or seconds), len(seconds) // parts


def _without_pauses(settings: TrainSettings) -> TrainSettings:
    """The same steps, none of which is followed by an evaluation or a saved state."""
    loop = dataclasses.replace(
        settings.loop,
        iterations=max(settings.loop.iterations, 2 * MOST_STEPS),
        evaluate_every=0,
        checkpoint_every=0,
    )
    return dataclasses.replace(settings, loop=loop)


def estimate_speed(
    method: Method,
    settings: TrainSettings,
    runtime: Runtime,
    loaded: Loaded,
    display: Display,
) -> Speed:
    """Time some steps and set them against the loading of their data."""
    step_s, steps = time_steps(method, settings, runtime, loaded.batches, display)
    images = settings.loop.batch_size * settings.loop.accumulate * len(loaded.batches[0])
    # Every set has as many processes as loop.workers says; more than there are cores do not help.
    processes = max(settings.loop.workers * len(loaded.batches[0]), 1)
    at_once = min(processes, len(os.sched_getaffinity(0)))
    load_s = loaded.image_s * images / at_once
    return Speed(step_s, steps, load_s, settings.loop.workers, settings.loop.iterations)


def report_speed(
    speed: Speed, settings: TrainSettings, loaded: Loaded, findings: Findings
) -> None:
    """Say so when the device would wait for data."""
    if speed.whole_step_s <= (1 + LITTLE_WAITING) * speed.step_s:
        return
    images = settings.loop.batch_size * settings.loop.accumulate
    wanted = math.ceil(1.25 * images * loaded.image_s / speed.step_s)
    findings.warning(
        'loop.workers',
        f'the network will wait for data: a batch takes {speed.load_s:.3g} s to load with '
        f'{speed.workers} workers per set, and {speed.step_s:.3g} s to learn from',
        f'set loop.workers: {max(wanted, speed.workers + 1)} where the processor has the cores, '
        'or store frames near the size that they are resized to',
    )


def first_crops(loaded: Loaded, role: str) -> list[dict[str, Any]]:
    """The first crops of 'source' or 'target', each with its tensors; [] where there are none."""
    samples = (
        {name: values[i] for name, values in batch[role].items()}
        for batch in loaded.batches
        if role in batch
        for i in range(len(batch[role]['image']))
    )
    return list(itertools.islice(samples, SHOWN_CROPS))
