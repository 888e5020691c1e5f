"""Time and memory per image of a network, against the published order of work.

The published order (float32, eager, every window of every crop, logits at full size) is written
out in published_inference.py. Contenders run in turns, each in a process of its own. Without
--encoder, --checkpoint and --size the sizes of the table in docs/performance.md are measured.

Usage: hrda bench inference [--checkpoint X.safetensors] [--size=1920x1080] [--images DIR]
       hrda bench inference --contenders published exact,precision=bf16 anytime,budget=25%
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from hrda_core.classes import Uint8Array
from hrda_core.fitted_plan import FittedPlan, fit_plan
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.runtime import choose_runtime
from hrda_core.tuning import TunedWindows, tuned_settings
from hrda_core.windows import WindowPlan
from training.benchmark.contenders import Contender, Work
from training.benchmark.inference_report import Measured, Turn, figures, inference_table, notes
from training.benchmark.inference_specs import (
    Network,
    Spec,
    default_specs,
    parse_share,
    parse_spec,
)
from training.benchmark.inference_work import Answer, work_as_published, work_with_settings
from training.benchmark.network_cost import NetworkCost
from training.benchmark.pictures import images_to_measure
from training.benchmark.published_inference import published_plan, scaled_size
from training.benchmark.report import write_figures

LARGE = ('2048x1024', '1920x1080')
TABLE = (('mit_b5', LARGE), ('mit_b0', ('1280x720',)), ('mit_b1', ('1280x720',)))
"""Encoders and sizes that are measured if none are named."""
IMAGES = 4
"""Different images; the frames go through them in turns."""
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


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench inference`."""
    parser.add_argument('--checkpoint', help='a trained network; agreement means something then')
    parser.add_argument('--encoder', nargs='+', help='random weights instead, such as mit_b5')
    parser.add_argument('--size', nargs='+', metavar='WxH', help='of the images [px]')
    parser.add_argument('--images', metavar='DIR', help='images to resize; made up by default')
    parser.add_argument(
        '--contenders',
        nargs='+',
        metavar='MODE[,NAME=VALUE...]',
        help='published, or a mode and settings of inference; precision=fast is what the device '
        'is fastest in, budget=25%% a share of the windows',
    )
    parser.add_argument(
        '--windows',
        default='25%',
        help='share that anytime may compute by default, if the checkpoint was not tuned',
    )
    parser.add_argument('--frames', type=int, default=100, help='most frames of each contender')
    parser.add_argument(
        '--seconds', type=float, default=30, help='time after which a contender stops [s]'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    cores = len(os.sched_getaffinity(0))
    parser.add_argument('--threads', type=int, default=cores, help='of torch on a CPU')
    parser.add_argument(
        '--baseline-batch',
        type=int,
        default=0,
        help='most windows at once in the published order of work; 0 = all, as published',
    )
    parser.add_argument('--json', metavar='FILE', help='also write all figures to this file')


def run(args: Namespace) -> int:
    """Measure, print a table per network and size, write the figures."""
    for name, least in (('frames', 1), ('threads', 1), ('baseline_batch', 0), ('seconds', 0)):
        if getattr(args, name) < least:
            option = name.replace('_', '-')
            raise ValueError(f'--{option} {getattr(args, name)} must be at least {least}')
    parse_share(args.windows)
    console, cases = Console(highlight=False, width=200), parse_cases(args)
    done = []
    for case in cases:
        measured = measure(case, args, console.print)
        title = f'{case.network.title}, {case.size[0]}x{case.size[1]}'
        console.print(f'\n{title}', inference_table(measured), sep='\n')
        done.append(figures(title, measured))
        if args.json:  # after every case, so that an interrupted run keeps what it has
            write_figures(Path(args.json), args, {'cases': done})
    for note in notes(trained=args.checkpoint is not None, pictures=args.images is not None):
        console.print(note)
    return 0


def parse_cases(args: Namespace) -> list[Case]:
    """The networks and sizes that the arguments name.

    Raises:
        ValueError: a size is none, or both a checkpoint and an encoder are named.
    """
    if args.checkpoint and args.encoder:
        raise ValueError('--checkpoint brings its own encoder; leave --encoder out')
    if not (args.checkpoint or args.encoder or args.size):
        pairs = [(Network(encoder), sizes) for encoder, sizes in TABLE]
    else:
        networks = [Network('', args.checkpoint)]
        if not args.checkpoint:
            networks = [Network(encoder) for encoder in args.encoder or ('mit_b5',)]
        pairs = [(network, args.size or LARGE) for network in networks]
    return [Case(network, parse_wxh(size)) for network, sizes in pairs for size in sizes]


def parse_wxh(text: str) -> tuple[int, int]:
    """Read '2048x1024' as (width, height) [px]; ValueError for anything else."""
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None or min(int(match[1]), int(match[2])) < 16:
        raise ValueError(f'{text!r} is no size; expected width x height, such as 2048x1024')
    return int(match[1]), int(match[2])


def measure(case: Case, args: Namespace, say: Callable[[str], None]) -> list[Measured]:
    """Measure all contenders on one network and size.

    Args:
        case: the network and the size.
        args: of the command.
        say: told of every round.

    Raises:
        ValueError: the network cannot be built, a contender is none, or it could not go on.
    """
    width, height = case.size
    model = case.network.load('meta')
    names = args.contenders or default_specs(
        args.windows, args.device, tuned=TunedWindows.of(model) is not None
    )
    specs = [parse_spec(name, args.device) for name in names]
    plans = [plan_of(spec, height, width, model) for spec in specs]
    images = images_to_measure(args.images, IMAGES, case.size)
    device = choose_runtime(args.device).device
    contenders = []
    for spec, plan in zip(specs, plans, strict=True):
        work: Work = partial(
            work_as_published, case.network, args.device, args.baseline_batch or None
        )
        if spec.settings is not None:
            settings = spec.for_plan(len(plan.windows))
            work = partial(work_with_settings, case.network, settings, case.size)
        contenders.append(Contender(spec.name, work, device, args.threads, REMEDY))
    turns = take_turns(contenders, images, args.frames, args.seconds, say)
    cost = NetworkCost(model)
    measured = []
    for spec, plan, contender, taken in zip(specs, plans, contenders, turns, strict=True):
        peak, rate = contender.end()
        windows = sum(turn.answer.computed for turn in taken) / len(taken)
        measured.append(Measured(spec, tuple(taken), peak, cost.flops(plan, windows), rate))
    return measured


def plan_of(spec: Spec, height: int, width: int, model: HRDA) -> WindowPlan | FittedPlan:
    """The windows that a contender chooses from, for an image of this size [px]."""
    if spec.settings is None or spec.settings.mode == 'exact':
        return published_plan(height, width, model)
    return anytime_plan(spec.settings, height, width, model)


def anytime_plan(settings: InferenceSettings, height: int, width: int, model: HRDA) -> FittedPlan:
    """The plan of mode `anytime` for an image of this size [px]."""
    tuned = tuned_settings(settings, model)
    return fit_plan(
        *scaled_size(height, width, model),
        model.architecture,
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

    The first answer of each is a warm-up and not returned, unless it alone takes all the time.

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
                taken.append(Turn(image, answer))
            latest.append(f'{contender.name} {answer.milliseconds:.4g} ms')
        if latest and (number < 3 or number % 10 == 0):
            say(f'frame {number} of {frames}: {"; ".join(latest)}')
    return turns
