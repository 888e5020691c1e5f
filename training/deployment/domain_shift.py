"""Tell how far images are from those that a checkpoint was made for; needs no labels.

Usage: hrda domain-shift X.safetensors IMAGES...           a score for every folder
       hrda domain-shift X.safetensors IMAGES... --store   these images are the domain

The score is 1 where 95 % of the domain's own images are nearer; the node tells it in its
diagnostics. `hrda train` stores the domain at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from hrda_core.checkpoints import load_model
from hrda_core.classes import Uint8Array
from hrda_core.domain_shift import DomainShift
from training.benchmark.report import markdown_table
from training.deployment.chosen_images import choose_images
from training.deployment.domain import IMAGES, remember_domain
from training.image_files import read_image
from training.progress import Display, displayed
from training.whole_files import check_writable


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda domain-shift`."""
    parser.add_argument('checkpoint', help='the .safetensors file')
    parser.add_argument('images', nargs='+', help='images, or folders of them')
    parser.add_argument(
        '--store',
        action='store_true',
        help='write into the checkpoint that these images are what it was made for',
    )
    parser.add_argument('-o', '--output', help='with --store: write here, leave it as it is')
    parser.add_argument(
        '--frames', type=int, default=IMAGES, help='images of each folder, spread over all; 0: all'
    )


def run(args: Namespace) -> int:
    """Score folders of images, or store them as the domain."""
    if args.output and not args.store:
        raise ValueError('--output is where --store writes; give both')
    if args.store:
        check_writable(args.output or args.checkpoint)
    folders = {name: choose_images([name], args.frames) for name in args.images}
    with displayed() as display:
        if args.store:
            _store(args.checkpoint, args.output or args.checkpoint, folders, display)
        else:
            _score(args.checkpoint, folders, display)
    return 0


def _store(checkpoint: str, output: str, folders: dict[str, list[Path]], display: Display) -> None:
    paths = [path for folder in folders.values() for path in folder]
    images = _read(paths, 'remembering the domain', display)
    remember_domain({Path(checkpoint): Path(output)}, images)
    display.say(f'{output} now knows its domain from {len(paths)} images')


def _score(checkpoint: str, folders: dict[str, list[Path]], display: Display) -> None:
    shift = DomainShift(load_model(checkpoint))
    rows = []
    for name, paths in folders.items():
        scores = np.array([shift.look(image) for image in _read(paths, name, display)])
        figures = [f'{value:.2f}' for value in np.percentile(scores, (5, 50, 95))]
        rows.append([name, str(len(paths)), *figures, f'{100 * (scores > 1).mean():.0f} %'])
    columns = ['images', 'number', '5th percentile', 'median', '95th', 'above 1']
    Console(highlight=False, width=160).print(markdown_table(columns, rows))


def _read(paths: Sequence[Path], title: str, display: Display) -> Iterator[Uint8Array]:
    for path in display.track(paths, title, len(paths)):
        yield read_image(path)
