"""Time and memory per image of a network, against the published order of work.

The published order (float32, eager, every window of every crop, logits at full size) is written
out in published_inference.py. Contenders run in turns, each in a process of its own. Without
--encoder, --checkpoint and --size the networks and sizes of docs/performance.md are measured.

Usage: hrda bench inference [--checkpoint X.safetensors] [--size=1920x1080] [--images DIR]
       hrda bench inference --contenders published exact,precision=bf16 anytime,budget=25%
"""

from __future__ import annotations

import re
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from hrda_core.preparation import check_size
from hrda_core.tuning import TunedWindows
from training.benchmark.inference_report import cold_note, figures, inference_table, notes
from training.benchmark.inference_specs import (
    Network,
    Spec,
    default_specs,
    parse_share,
    parse_spec,
)
from training.benchmark.inference_turns import Case, add_condition_arguments, conditions, measure
from training.benchmark.report import WIDTH, write_figures
from training.whole_files import check_writable

LARGE = ('2048x1024', '1920x1080')
TABLE = (('mit_b5', LARGE), ('mit_b0', ('1280x720',)), ('mit_b1', ('1280x720',)))
"""Encoders and sizes that are measured if none are named."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench inference`."""
    parser.add_argument('--checkpoint', help='a trained network; agreement means something then')
    parser.add_argument('--encoder', nargs='+', help='random weights instead, such as mit_b5')
    parser.add_argument('--size', nargs='+', metavar='WxH', help='of the images [px]')
    parser.add_argument(
        '--contenders',
        nargs='+',
        metavar='MODE[,NAME=VALUE...]',
        help='published, or a mode and settings of inference; precision=fast is what the device '
        'is fastest in; a budget in percent is a share of the windows',
    )
    parser.add_argument(
        '--windows',
        default='25%',
        help='share that anytime may compute by default, if the checkpoint was not tuned',
    )
    add_condition_arguments(parser)
    parser.add_argument(
        '--baseline-batch',
        type=int,
        default=0,
        help='most windows at once in the published order of work; 0 = all, as published',
    )
    parser.add_argument('--json', metavar='FILE', help='also write all figures to this file')


def run(args: Namespace) -> int:
    """Measure, print a table per network and size, write the figures."""
    parse_share(args.windows)
    check_writable(args.json)
    given, cases = conditions(args), parse_cases(args)
    console, done = Console(highlight=False, width=WIDTH), []
    for case in cases:
        title = f'{case.network.title}, {case.size[0]}x{case.size[1]}'
        console.print(f'\n{title}')
        measured = measure(case, _specs(case.network, args), given, console.print)
        console.print(inference_table(measured))
        if cold := cold_note(measured):
            console.print(cold)
        done.append(figures(title, measured))
        if args.json:  # after every case, so that an interrupted run keeps what it has
            write_figures(Path(args.json), args, {'cases': done})
    for note in notes(trained=args.checkpoint is not None, pictures=args.images is not None):
        console.print(note)
    return 0


def _specs(network: Network, args: Namespace) -> list[Spec]:
    tuned = TunedWindows.of(network.load('meta')) is not None
    names = args.contenders or default_specs(args.windows, args.device, tuned=tuned)
    return [parse_spec(name, args.device) for name in names]


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
    if match is None:
        raise ValueError(f'--size {text!r} is no size; expected width x height, such as 2048x1024')
    width, height = int(match[1]), int(match[2])
    try:
        check_size(height, width)
    except ValueError as error:
        raise ValueError(f'--size {text}: {error}') from error
    return width, height
