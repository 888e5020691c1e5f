"""Speed and memory of `hrda extract` against the rosbags library's own reading loop.

Usage: hrda bench bags [--size=1920x1080] [--frames=1800] [--rounds=5] [--json FILE]
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir
from time import perf_counter

import torch
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from training.benchmark.bag_files import (
    JPEG_TOPIC,
    RATE_HZ,
    RAW_TOPIC,
    Size,
    copy_recording,
    write_jpegs,
    write_raw,
)
from training.benchmark.bag_work import Pass, encode_only, extract, read_plainly
from training.benchmark.contenders import Contender, Work
from training.benchmark.inference import parse_wxh
from training.benchmark.report import WIDTH, markdown_table, plain_figure, write_figures
from training.extraction.pool import helper_threads
from training.whole_files import check_writable

REMEDY = 'take a smaller --size or fewer --frames'
SECOND_NS = 1_000_000_000
ROOM = 4 << 30
"""Free bytes that the recordings and what is taken out of them fit into."""
SHORT, LONG = 100, 2000
"""Frames of the recordings that memory is compared on."""


@dataclass(frozen=True)
class Comparison:
    """A line of the table.

    Attributes:
        what: is compared.
        base: name of what it is compared with.
        base_rates: its frames per second, by round.
        rates: frames per second of `hrda extract`, by round.
        wanted: least ratio of the two; None where none is.
    """

    what: str
    base: str
    base_rates: Sequence[float]
    rates: Sequence[float]
    wanted: float | None

    @property
    def ratio(self) -> float:
        """Median over the rounds: neighbours in time meet the same load of the machine."""
        return median(a / b for a, b in zip(self.rates, self.base_rates, strict=True))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench bags`."""
    parser.add_argument('--size', default='1920x1080', metavar='WxH', help='of the frames [px]')
    parser.add_argument('--frames', type=int, default=1800, help='of the JPEG recording')
    parser.add_argument('--raw-frames', type=int, default=90, help='of the raw recording')
    parser.add_argument('--rounds', type=int, default=5, help='in which all take turns')
    parser.add_argument('--json', metavar='FILE', help='also write all figures to this file')


def run(args: Namespace) -> int:
    """Write recordings, measure on them, print the tables, write the file.

    Raises:
        ValueError: numbers that cannot be measured with, or a contender that could not go on.
    """
    check_writable(args.json)
    size = parse_wxh(args.size)
    for name in ('frames', 'raw_frames', 'rounds'):
        if getattr(args, name) < 1:
            option = name.replace('_', '-')
            raise ValueError(f'--{option} {getattr(args, name)} must be at least 1')
    console = Console(highlight=False, width=WIDTH)
    place = fast_folder()
    with TemporaryDirectory(prefix='hrda_bench_bags_', dir=place) as folder:
        root = Path(folder)
        bytes_per_frame = write_jpegs(root / 'jpeg', size, args.frames)
        write_raw(root / 'raw', size, args.raw_frames)
        copy_recording(root / 'jpeg', root / 'copy')
        comparisons = compare(root, size, args.raw_frames, args.rounds)
        memory = {frames: peak_bytes(root, size, frames) for frames in (SHORT, LONG)}
    console.print(
        f'{args.size}, JPEG frames of {bytes_per_frame / 1e3:.0f} kB, raw ones bgr8, mcap without '
        f'compression, all files below {place}; {helper_threads(1)} helper threads for one '
        f'process, {helper_threads(2)} for each of two; median of {args.rounds} rounds'
    )
    _print(comparisons, memory, console)
    if args.json:
        rows = [{**vars(each), 'ratio': each.ratio} for each in comparisons]
        values = {'comparisons': rows, 'peak_bytes': memory, 'frame_bytes': bytes_per_frame}
        write_figures(Path(args.json), args, values)
    return 0


def fast_folder() -> Path:
    """Where files are kept in memory, if there is room; else where temporary files belong.

    A disk would be measured with all that it still has to write and to forget from before.
    """
    memory = Path('/dev/shm')
    if memory.is_dir() and os.access(memory, os.W_OK):
        free = os.statvfs(memory)
        if free.f_bavail * free.f_frsize > ROOM:
            return memory
    return Path(gettempdir())


def compare(root: Path, size: Size, raw_frames: int, rounds: int) -> list[Comparison]:
    """Have all contenders take turns on the recordings in a folder."""
    jpeg, raw = root / 'jpeg', root / 'raw'
    works: dict[str, Work] = {
        'read': partial(read_plainly, jpeg, JPEG_TOPIC, False),
        'write': partial(read_plainly, jpeg, JPEG_TOPIC, True),
        'jpeg': partial(extract, jpeg, JPEG_TOPIC, 0),
        'copy': partial(extract, root / 'copy', JPEG_TOPIC, 0),
        'every': partial(extract, jpeg, JPEG_TOPIC, SECOND_NS),
        'encode': partial(encode_only, size, raw_frames),
        'read raw': partial(read_plainly, raw, RAW_TOPIC, False),
        'raw': partial(extract, raw, RAW_TOPIC, 0),
        'every raw': partial(extract, raw, RAW_TOPIC, SECOND_NS),
    }
    contenders = {name: _start(name, work) for name, work in works.items()}
    rates: dict[str, list[float]] = {name: [] for name in (*works, 'alone', 'two')}
    for number in range(rounds + 1):
        # The first round, in which imports and caches settle, is not counted.
        into = rates if number else {name: [] for name in rates}
        for name, contender in contenders.items():
            into[name].append(contender.ask(helper_threads(1), Pass).rate)
        into['alone'].append(contenders['jpeg'].ask(0, Pass).rate)
        into['two'].append(_rate_of_both(contenders['jpeg'], contenders['copy']))
    for contender in contenders.values():
        contender.end()
    return _comparisons(rates)


def _comparisons(rates: dict[str, list[float]]) -> list[Comparison]:
    writing, reading = "rosbags' loop, writing each frame", "rosbags' loop, reading only"
    every = f'--every 1s of {RATE_HZ} Hz'
    rows = [
        ('JPEG, copied', writing, 'write', 'jpeg', 0.9),
        ('JPEG, copied', reading, 'read', 'jpeg', None),
        ('JPEG, copied, no helper threads', writing, 'write', 'alone', None),
        ('JPEG, copied, 2 processes', 'one without helper threads', 'alone', 'two', 1.6),
        ('JPEG, copied, 2 processes', 'one', 'jpeg', 'two', None),
        ('raw to JPEG', 'the encoder alone', 'encode', 'raw', 0.85),
        (f'raw, {every}', 'extracting all', 'raw', 'every raw', 8.0),
        (f'JPEG, {every}', 'extracting all', 'jpeg', 'every', 8.0),
        (f'JPEG, {every}', writing, 'write', 'every', None),
        (f'raw, {every}', reading, 'read raw', 'every raw', None),
    ]
    return [
        Comparison(what, base, rates[first], rates[second], wanted)
        for what, base, first, second, wanted in rows
    ]


def peak_bytes(root: Path, size: Size, frames: int) -> int:
    """The most memory that extracting a recording of so many JPEG frames takes [bytes].

    Without what Python and its libraries take before the first frame.
    """
    path = root / f'long_{frames}'
    write_jpegs(path, size, frames)
    contender = _start(f'{frames} frames', partial(extract, path, JPEG_TOPIC, 0))
    contender.ask(helper_threads(1), Pass)
    return contender.end().peak.used


def _start(name: str, work: Work) -> Contender:
    return Contender(name, work, torch.device('cpu'), 1, REMEDY)


def _rate_of_both(first: Contender, second: Contender) -> float:
    with ThreadPoolExecutor(2) as pool:
        start = perf_counter()
        helpers = helper_threads(2)
        passes = list(pool.map(lambda each: each.ask(helpers, Pass), (first, second)))
        return sum(each.frames for each in passes) / (perf_counter() - start)


def _print(comparisons: Sequence[Comparison], memory: dict[int, int], console: Console) -> None:
    columns = ('hrda extract', 'against', 'frames/s', 'its frames/s', 'ratio', 'wanted')
    rows = [
        [
            each.what,
            each.base,
            *(plain_figure(median(rates)) for rates in (each.rates, each.base_rates)),
            f'{each.ratio:.2f}',
            '' if each.wanted is None else f'{each.wanted:g}',
        ]
        for each in comparisons
    ]
    console.print(markdown_table(columns, rows))
    peaks = [[f'{frames}', f'{peak / 1e6:.0f}'] for frames, peak in memory.items()]
    console.print(markdown_table(('frames of a recording', 'peak memory [MB]'), peaks))
