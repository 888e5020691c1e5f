"""Size, arithmetic and time per image of networks with different encoders and heads.

Usage: hrda bench models [--encoders mit_b0 tiny_vit_5m_224] [--heads daformer daformer_fast]
       hrda bench models [--size=1280x720] [--precision=fp32] [--csv FILE] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from hrda_core.architecture import HeadName
from training.benchmark.inference import parse_wxh
from training.benchmark.inference_report import Measured, cold_note, figures
from training.benchmark.inference_specs import FAST, Network, parse_share, parse_spec
from training.benchmark.inference_turns import Case, add_condition_arguments, conditions, measure
from training.benchmark.report import WIDTH, markdown_table, plain_figure, write_csv, write_figures
from training.whole_files import check_writable

PRESETS = (
    *(f'mit_b{number}' for number in range(6)),
    *('tiny_vit_5m_224', 'tiny_vit_11m_224', 'tf_efficientnet_lite0', 'mobilenetv4_conv_medium'),
    *('repvit_m1_0', 'resnet18', 'convnext_tiny'),
)
"""Encoders that are measured if none are named."""


class Row(NamedTuple):
    """A network of the table.

    Attributes:
        encoder: its name.
        head: its name.
        parameters_m: of encoder and heads, in millions.
        exact: the published plan.
        anytime: a fitted plan and a share of its windows.
    """

    encoder: str
    head: str
    parameters_m: float
    exact: Measured
    anytime: Measured

    def values(self) -> list[float]:
        """What the columns show."""
        both = (self.exact, self.anytime)
        return [
            self.parameters_m,
            *(measured.flops / 2e9 for measured in both),
            *(measured.milliseconds() for measured in both),
            *(1e3 / measured.milliseconds() for measured in both),
            *(measured.peak.used / 1e9 for measured in both),
        ]


COLUMNS = (
    *('encoder', 'head', 'parameters [M]', 'GMAC exact', 'GMAC anytime', 'ms exact', 'ms anytime'),
    *('images/s exact', 'images/s anytime', 'memory exact [GB]', 'memory anytime [GB]'),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench models`."""
    parser.add_argument(
        '--encoders',
        nargs='+',
        default=list(PRESETS),
        help='mit_b0 to mit_b5, or any timm model with feature strides 4, 8, 16 and 32',
    )
    parser.add_argument(
        '--heads',
        nargs='+',
        default=['daformer'],
        choices=get_args(HeadName),
        help='of every encoder',
    )
    parser.add_argument('--size', default='1280x720', metavar='WxH', help='of the images [px]')
    parser.add_argument('--precision', default=FAST, help='fast, auto, fp32, bf16 or fp16')
    parser.add_argument('--windows', default='25%', help='share that anytime may compute')
    add_condition_arguments(parser)
    parser.set_defaults({'seconds': 10.0})
    parser.add_argument('--json', metavar='FILE', help='also write all figures to this file')
    parser.add_argument('--csv', metavar='FILE', help='also write the table to this file')


def run(args: Namespace) -> int:
    """Measure one network after the other, print the table, write the files."""
    parse_share(args.windows)
    for file in (args.csv, args.json):
        check_writable(file)
    names = (f'exact,precision={args.precision}', f'anytime,precision={args.precision}')
    texts = (names[0], f'{names[1]},budget={args.windows}')
    specs = [parse_spec(text, args.device) for text in texts]
    given, size = conditions(args), parse_wxh(args.size)
    networks = [Network(encoder, None, head) for encoder in args.encoders for head in args.heads]
    # All are built before the first is measured, so that a wrong name is found now.
    parameters = [_parameters_m(network) for network in networks]
    console, rows = Console(highlight=False, width=WIDTH), []
    for network, count in zip(networks, parameters, strict=True):
        console.print(f'{network.encoder}, {network.head}')
        measured = measure(Case(network, size), specs, given, console.print)
        rows.append(Row(network.encoder, network.head, count, *measured))
        _write(rows, args)
    console.print(f'\n{args.size}, random weights, anytime with {args.windows} of its windows')
    console.print(_table(rows))
    for row in rows:
        if cold := cold_note([row.exact, row.anytime]):
            console.print(f'{row.encoder}, {row.head}, {cold}')
    return 0


def _parameters_m(network: Network) -> float:
    return sum(parameter.numel() for parameter in network.load('meta').parameters()) / 1e6


def _table(rows: Sequence[Row]) -> Table:
    texts = [[*row[:2], *(plain_figure(value) for value in row.values())] for row in rows]
    return markdown_table(COLUMNS, texts)


def _write(rows: Sequence[Row], args: Namespace) -> None:
    """Write what there is so far, so that an interrupted run keeps it."""
    if args.csv:
        write_csv(Path(args.csv), COLUMNS, [[*row[:2], *row.values()] for row in rows])
    if args.json:
        cases = [
            {
                'parameters_m': row.parameters_m,
                **figures(' '.join(row[:2]), [row.exact, row.anytime]),
            }
            for row in rows
        ]
        write_figures(Path(args.json), args, {'cases': cases})
