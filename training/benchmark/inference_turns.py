"""Contenders of inference on one network and size: started, taking turns, and ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from statistics import fmean
from typing import NamedTuple

from jsonargparse import ArgumentParser, Namespace

from hrda_core.classes import Uint8Array
from hrda_core.fitted_plan import FittedPlan, fit_plan, shrunk_size
from hrda_core.hrda import HRDA
from hrda_core.runtime import choose_runtime
from hrda_core.tuning import tuned_settings
from hrda_core.windows import WindowPlan
from training.benchmark.contenders import Contender, Work
from training.benchmark.inference_report import Measured, Turn
from training.benchmark.inference_specs import Network, Spec
from training.benchmark.inference_work import Answer, work_as_published, work_with_settings
from training.benchmark.network_cost import NetworkCost
from training.benchmark.pictures import images_to_measure
from training.benchmark.published_inference import published_plan
from training.benchmark.report import plain_figure

IMAGES = 4
"""Different images that are made up; the frames go through them in turns."""
REMEDY = (
    'with too little memory take a smaller --size or --encoder, or let the published order of '
    'work go through in parts with --baseline-batch=9'
)


class Case(NamedTuple):
    """What is measured at a time.

    Attributes:
        network: which one.
        size: (width, height) of the images [px].
    """

    network: Network
    size: tuple[int, int]


@dataclass(frozen=True)
class Conditions:
    """What all contenders have in common.

    Attributes:
        device: auto, cpu, cuda or cuda:N.
        threads: of torch on a CPU.
        frames: most images for each.
        seconds: who has worked for so long gets no further turn [s].
        images: folder of images, resized; None makes them up.
        baseline_batch: most windows at once in the published order of work; 0 for all.
    """

    device: str = 'auto'
    threads: int = 1
    frames: int = 100
    seconds: float = 30.0
    images: str | None = None
    baseline_batch: int = 0

    def __post_init__(self) -> None:
        least = {'threads': 1, 'frames': 1, 'seconds': 0, 'baseline_batch': 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                option = name.replace('_', '-')
                raise ValueError(f'--{option} {getattr(self, name)} must be at least {value}')


def add_condition_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `Conditions`, but for the batch of the published order."""
    parser.add_argument('--images', metavar='DIR', help='images to resize; made up by default')
    parser.add_argument('--frames', type=int, default=100, help='most frames of each contender')
    parser.add_argument(
        '--seconds', type=float, default=30, help='time after which a contender stops [s]'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    cores = len(os.sched_getaffinity(0))
    parser.add_argument('--threads', type=int, default=cores, help='of torch on a CPU')


def conditions(args: Namespace) -> Conditions:
    """What the arguments say; errors as of `Conditions`."""
    known = vars(args)
    names = [field.name for field in fields(Conditions) if field.name in known]
    return Conditions(**{name: known[name] for name in names})


def measure(
    case: Case, specs: Sequence[Spec], given: Conditions, say: Callable[[str], None]
) -> list[Measured]:
    """Measure contenders on one network and size.

    Args:
        case: the network and the size.
        specs: the contenders.
        given: what they have in common.
        say: told of every round.

    Raises:
        ValueError: the network cannot be built, or a contender could not go on.
    """
    model = case.network.load('meta')
    plans = [plan_of(spec, case.size, model) for spec in specs]
    count = IMAGES if given.images is None else given.frames
    images = images_to_measure(given.images, count, case.size)
    pairs = zip(specs, plans, strict=True)
    contenders = [_start(case, spec, len(plan.windows), given) for spec, plan in pairs]
    turns = take_turns(contenders, images, given.frames, given.seconds, say)
    cost, measured = NetworkCost(model), []
    for spec, plan, contender, taken in zip(specs, plans, contenders, turns, strict=True):
        peak, rate = contender.end()
        windows = fmean(turn.answer.computed for turn in taken)
        measured.append(Measured(spec, tuple(taken), peak, cost.flops(plan, windows), rate))
    return measured


def _start(case: Case, spec: Spec, windows: int, given: Conditions) -> Contender:
    batch = given.baseline_batch or None
    work: Work = partial(work_as_published, case.network, given.device, batch)
    if spec.settings is not None:
        work = partial(work_with_settings, case.network, spec.for_plan(windows), case.size)
    device = choose_runtime(given.device).device
    return Contender(spec.name, work, device, given.threads, REMEDY)


def plan_of(spec: Spec, size: tuple[int, int], model: HRDA) -> WindowPlan | FittedPlan:
    """The windows that a contender chooses from, for images of size (width, height) [px]."""
    width, height = size
    if spec.settings is None or spec.settings.mode == 'exact':
        return published_plan(height, width, model)
    tuned = tuned_settings(spec.settings, model)
    architecture = model.architecture
    return fit_plan(
        *shrunk_size(height, width, architecture, tuned.shrink),
        architecture,
        model.stride,
        contexts=tuned.context,
        window_size=tuned.window_size,
        overlap=tuned.window_overlap,
    )


def take_turns(
    contenders: Sequence[Contender],
    images: Sequence[Uint8Array],
    frames: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[list[Turn]]:
    """Have every contender segment image after image, one after the other.

    The first answer of each is a warm-up and not returned, unless it alone takes all the time;
    it is marked then.

    Args:
        contenders: any number.
        images: gone through again and again.
        frames: most turns of each.
        seconds: who has worked for so long gets no further turn [s].
        say: told of every round at first, and of every tenth later.

    Returns:
        The turns of each contender.
    """
    turns: list[list[Turn]] = [[] for _ in contenders]
    for number in range(1 + frames):
        image = max(number - 1, 0) % len(images)
        latest = []
        for contender, taken in zip(contenders, turns, strict=True):
            if sum(turn.answer.milliseconds for turn in taken) > 1e3 * seconds:
                continue
            answer = contender.ask(images[image], Answer)
            if number or answer.milliseconds > 1e3 * seconds:
                taken.append(Turn(image, answer, first=number == 0))
            latest.append(f'{contender.name} {plain_figure(answer.milliseconds)} ms')
        if latest and (number < 3 or number % 10 == 0):
            say(f'frame {number} of {frames}: {"; ".join(latest)}')
    return turns
