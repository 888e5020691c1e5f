"""What the ROS node costs beyond the network, whether its images arrive, and if it lasts.

Camera, node and reader are processes of their own. With a stand-in for the network, the node's
own work and the transport of its outputs are measured, with the Fast DDS profile that comes along
and without, and how old frames get where the network is slower than the camera; then the node
runs for some minutes, with the network of --checkpoint if one is named.

Usage: hrda bench node --ros-python .venv-ros/bin/python [--checkpoint X.safetensors]
       [--minutes 5] [--hz 30] [--size 1920x1080] [-o FOLDER]
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from training.benchmark.inference import parse_wxh
from training.benchmark.node_figures import NodeFigures, figures_of
from training.benchmark.node_plots import plot_soak
from training.benchmark.node_runs import Bench, NodeRun, Noted, write_camera
from training.benchmark.report import WIDTH, markdown_table, write_figures
from training.ros_processes import LiveError
from training.whole_files import check_writable

SLOW_MS = 100
"""A network that is slower than the camera, and leaves the CPU to others as on a GPU."""
LABEL, CONFIDENCE, OVERLAY = (f'/segmentation/{n}' for n in ('label', 'confidence', 'overlay'))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench node`."""
    parser.add_argument(
        '--ros-python', default=sys.executable, help='interpreter that finds rclpy and torch'
    )
    parser.add_argument('--checkpoint', help='network of the long run; a stand-in by default')
    parser.add_argument('--minutes', type=float, default=5.0, help='length of the long run [min]')
    parser.add_argument(
        '--seconds', type=float, default=20.0, help='length of each of the other runs [s]'
    )
    parser.add_argument('--hz', type=float, default=30.0, help='rate of the camera [Hz]')
    parser.add_argument('--size', default='1920x1080', help='of the images [px]')
    parser.add_argument(
        '--parameter',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='of the node in the long run, e.g. mode:=anytime',
    )
    parser.add_argument('-o', '--output', default='node_benchmark', help='folder for all results')


def run(args: Namespace) -> int:
    """Measure, print tables, and write figures, plot and logs."""
    size, folder = parse_wxh(args.size), Path(args.output)
    check_writable(folder, folder=True)
    runs = node_runs(args)
    console, done = Console(highlight=False, width=WIDTH), []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='hrda_bench_') as made:
        bag = write_camera(Path(made) / 'camera', size, args.hz)
        bench = Bench(Path(args.ros_python), folder, bag, args.hz)
        for chosen in runs:
            console.print(f'{chosen.name}, {chosen.seconds:.0f} s')
            noted = _measure(bench, chosen, console)
            done.append(figures_of(noted))
            write_figures(
                folder / 'node.json', args, {'runs': [dataclasses.asdict(each) for each in done]}
            )
    plot_soak(noted, folder / 'node.png')
    console.print(f'\nRaw images of {args.size} px at {args.hz:g} Hz')
    for columns, rows in (_times(done), _delivery(done)):
        console.print(markdown_table(columns, rows))
    console.print(f'{folder}: node.json, node.png and logs')
    return 0


def node_runs(args: Namespace) -> list[NodeRun]:
    """The runs that the arguments ask for.

    Raises:
        ValueError: a time, rate or file that cannot be.
    """
    for name in ('minutes', 'seconds', 'hz'):
        if not args[name] > 0:
            raise ValueError(f'--{name} {args[name]:g} must be above 0')
    checkpoint = None if args.checkpoint is None else Path(args.checkpoint)
    if checkpoint is not None and not checkpoint.is_file():
        raise ValueError(f'--checkpoint {checkpoint} is no file')
    two, three = (LABEL, CONFIDENCE), (LABEL, CONFIDENCE, OVERLAY)
    slow = NodeRun(f'stand-in of {SLOW_MS} ms', two, args.seconds, stand_in_ms=SLOW_MS)
    at_once = ('wait_for_newer_ms:=0.0',)
    return [
        NodeRun('label and confidence', two, args.seconds),
        NodeRun('overlay too', three, args.seconds),
        NodeRun('overlay too, default transport', three, args.seconds, profile=False),
        slow,
        dataclasses.replace(slow, name=f'{slow.name} that waits for none', parameters=at_once),
        NodeRun('long run', two, 60 * args.minutes, checkpoint, parameters=tuple(args.parameter)),
    ]


def _measure(bench: Bench, run: NodeRun, console: Console) -> Noted:
    try:
        return bench.measure(run, console.print)
    except LiveError as error:
        raise ValueError(str(error)) from error
    except PermissionError as error:
        raise ValueError(f'--ros-python: {error}') from error


def _times(done: Sequence[NodeFigures]) -> tuple[list[str], list[list[str]]]:
    columns = [
        'run', 'inference [ms]', 'overhead [ms]', 'p95', 'age [ms]', 'age - inference', 'p95',
        'most', 'age at the reader',
    ]  # fmt: skip
    rows = [
        [
            each.name,
            *(
                f'{value:.1f}'
                for value in (
                    each.inference_ms,
                    each.overhead_ms,
                    each.overhead_p95_ms,
                    each.age_ms,
                    each.late_ms,
                    each.late_p95_ms,
                    each.late_most_ms,
                    each.read_age_ms,
                )
            ),
        ]
        for each in done
    ]
    return columns, rows


def _delivery(done: Sequence[NodeFigures]) -> tuple[list[str], list[list[str]]]:
    columns = [
        'run', 'came to the node', 'out [Hz]', 'replaced by newer', 'label read', 'confidence',
        'overlay', 'memory [MB]', 'growth',
    ]  # fmt: skip
    rows = [
        [
            each.name,
            f'{100 * each.came:.1f} %',
            f'{each.out_hz:.1f}',
            str(each.replaced),
            *(_percent(each.delivered.get(topic)) for topic in (LABEL, CONFIDENCE, OVERLAY)),
            f'{each.rss_mb:.0f}',
            f'{100 * each.rss_growth:+.1f} %',
        ]
        for each in done
    ]
    return columns, rows


def _percent(share: float | None) -> str:
    return '' if share is None else f'{100 * share:.1f} %'
