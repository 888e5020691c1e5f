"""Time and memory of a HRDA self-training step, against the published order of work.

The published order (float32, eager, all windows at once) is written out in published_step.py and
runs in turns with the training loop of this project, each in a process of its own. On a CPU, both
keep freed memory for the next step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from hrda_core.runtime import choose_runtime
from training.benchmark.contenders import Peak
from training.benchmark.inference_specs import Network
from training.benchmark.loading import loading_rate
from training.benchmark.report import write_figures
from training.benchmark.training_contenders import training_contender
from training.data.settings import SourceSettings, TargetSettings
from training.settings.run import LoopSettings, ModelSettings, TrainSettings
from training.whole_files import check_writable

WARM_UP = 1
"""Steps of each contender that are not counted."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a contender.

    Attributes:
        seconds: of each step [s].
        peak: memory.
    """

    seconds: tuple[float, ...]
    peak: Peak

    @property
    def step_s(self) -> float:
        """Median time of a step [s]."""
        return median(self.seconds)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench train`."""
    parser.add_argument('--encoder', default='mit_b5', help='of both, such as mit_b5')
    parser.add_argument('--context', type=int, default=1024, help='side of context crops [px]')
    parser.add_argument('--detail', type=int, default=512, help='side of detail crops [px]')
    parser.add_argument('--batch', type=int, default=2, help='source images, and target images')
    parser.add_argument('--channels', type=int, default=256, help='width of the heads')
    parser.add_argument('--steps', type=int, default=10, help='steps of each that are timed')
    parser.add_argument('--device', default='auto', choices=['auto', 'cpu', 'cuda'])
    parser.add_argument(
        '--precision',
        default='auto',
        choices=['auto', 'fp32', 'bf16', 'fp16'],
        help="of this project's step; auto = bf16 on a GPU that has it, fp32 on a CPU",
    )
    for name in ('gradient-checkpointing', 'compile', 'channels-last'):
        parser.add_argument(f'--{name}', action='store_true', help=f'loop.{name}, ours alone')
    cores = len(os.sched_getaffinity(0))
    parser.add_argument('--threads', type=int, default=cores, help='of torch on a CPU')
    parser.add_argument('--workers', type=int, default=2, help='loading processes per data set')
    parser.add_argument('--json', metavar='FILE', help='also write all figures to this file')


def run(args: Namespace) -> int:
    """Measure, print a table, write the figures."""
    for name in ('context', 'detail', 'batch', 'channels', 'steps', 'threads'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} {getattr(args, name)} must be at least 1')
    check_writable(args.json)
    console = Console(highlight=False)
    ours = bench_settings(args)
    Network(args.encoder).load('meta')  # an unknown encoder is found now
    plain = bench_settings(args, plain=True)
    measured = take_turns(plain, ours, args.threads, args.steps, console.print)
    rate = loading_rate(ours, args.steps)
    used = 2 * args.batch / measured['hrda_ros'].step_s
    console.print(_table(measured, args))
    verdict = 'loading keeps up' if rate >= used else 'the device waits: raise --workers'
    console.print(
        f'{args.workers} loading processes per set give {rate:.2f} images/s, the steps use up '
        f'{used:.2f}: {verdict}'
    )
    if args.json:
        write_figures(Path(args.json), args, _figures(measured, rate, used))
    return 0


def bench_settings(args: Namespace, *, plain: bool = False) -> TrainSettings:
    """The published losses on a network of the asked size; the data are named but not opened.

    Args:
        args: of the command.
        plain: the published order of work: float32, and nothing switched on.
    """
    device = choose_runtime(args.device, 'auto')
    precision = args.precision
    if precision == 'auto':
        precision = 'bf16' if device.dtype == torch.bfloat16 else 'fp32'
    switches: dict[str, Any] = (
        {}
        if plain
        else {
            'precision': precision,
            'gradient_checkpointing': args.gradient_checkpointing,
            'compile': args.compile,
            'channels_last': args.channels_last,
        }
    )
    return TrainSettings(
        source=SourceSettings('made up'),
        target=TargetSettings('made up'),
        output='made up',
        model=ModelSettings(
            encoder=args.encoder,
            context_size=args.context,
            detail_size=args.detail,
            head_channels=args.channels,
            embed_channels=args.channels,
            attention_embed_channels=args.channels,
        ),
        loop=LoopSettings(
            batch_size=args.batch,
            workers=args.workers,
            device=args.device,
            iterations=args.steps + WARM_UP + 1,  # one more, which is never asked for
            evaluate_every=0,
            checkpoint_every=0,
            **switches,
        ),
    )


def take_turns(
    plain: TrainSettings,
    ours: TrainSettings,
    threads: int,
    steps: int,
    say: Callable[[str], None],
) -> dict[str, Measured]:
    """Time steps of both, one after the other, in turns.

    Args:
        plain: settings of the published order of work.
        ours: settings of this project's.
        threads: of torch on a CPU.
        steps: how many of each are timed.
        say: told of every round.

    Returns:
        'published' and 'hrda_ros'.
    """
    contenders = [
        training_contender('published', plain, threads),
        training_contender('hrda_ros', ours, threads),
    ]
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(WARM_UP + steps):
        for contender in contenders:
            seconds[contender.name].append(contender.ask(number, float))
        last = ', '.join(f'{name} {values[-1]:.3g} s' for name, values in seconds.items())
        say(f'step {number + 1} of {WARM_UP + steps}: {last}')
    return {
        contender.name: Measured(tuple(seconds[contender.name][WARM_UP:]), contender.end().peak)
        for contender in contenders
    }


def _table(measured: dict[str, Measured], args: Namespace) -> Table:
    title = (
        f'{args.encoder}, context {args.context}, detail {args.detail}, '
        f'batch {args.batch} + {args.batch}'
    )
    table = Table('', 's per step', 'from', 'to', 'peak memory [GB]', title=title)
    for name, result in measured.items():
        times = (result.step_s, min(result.seconds), max(result.seconds))
        table.add_row(name, *(f'{value:.3g}' for value in times), f'{result.peak.used / 1e9:.2f}')
    ratios = _ratios(measured)
    spread = (f'{ratios["speed_lowest"]:.2f}x', f'{ratios["speed_highest"]:.2f}x')
    table.add_section()
    table.add_row('ratio', f'{ratios["speed"]:.2f}x', *spread, f'{ratios["memory"]:.2f}x')
    return table


def _ratios(measured: dict[str, Measured]) -> dict[str, float]:
    """How many times faster ours is (median and extremes of the turns), and its memory's share."""
    published, ours = measured['published'], measured['hrda_ros']
    turns = [a / b for a, b in zip(published.seconds, ours.seconds, strict=True)]
    return {
        'speed': median(turns),
        'speed_lowest': min(turns),
        'speed_highest': max(turns),
        'memory': ours.peak.used / max(published.peak.used, 1),
    }


def _figures(measured: dict[str, Measured], rate: float, used: float) -> dict[str, Any]:
    def plain(values: Sequence[float]) -> list[float]:
        return [round(value, 6) for value in values]

    return {
        'ratios': _ratios(measured),
        **{
            name: {
                'seconds': plain(result.seconds),
                'peak_bytes': result.peak.total,
                'before_bytes': result.peak.before,
            }
            for name, result in measured.items()
        },
        'loading': {'images_per_s': rate, 'used_images_per_s': used},
    }
