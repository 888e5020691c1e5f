"""The arguments of a command that scores labelled frames: which frames, and which classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from jsonargparse import ArgumentParser, Namespace

from hrda_core.classes import ClassSet
from training.data.kinds import Kind, Split
from training.data.settings import ValidationSettings
from training.data.validation_frames import ValidationFrame, ValidationFrames


def add_data_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments that say which frames are scored, and which classes."""
    parser.add_argument(
        '--kind',
        choices=get_args(Kind),
        default='folder',
        help='data set as downloaded, in --root',
    )
    parser.add_argument('--root', help='folder of the data set; images and labels are below it')
    parser.add_argument('--split', choices=get_args(Split), help='part of the data set; val')
    parser.add_argument(
        '--conditions', nargs='*', default=[], help='of acdc and dark_zurich, such as fog night'
    )
    parser.add_argument('--images', help='folder of images')
    parser.add_argument('--labels', help='folder of label PNGs')
    parser.add_argument(
        '--label-suffix', help="text between an image's name and .png in its label's"
    )
    parser.add_argument(
        '--label-ids',
        choices=['train', 'raw', 'color'],
        help='train: pixels are class indices, 255 = ignored; raw: ids, color: RGB colours, of '
        'the label map or the class set',
    )
    parser.add_argument(
        '--label-map', help='table from ids or colours to class names: a built-in name or a file'
    )
    parser.add_argument(
        '--exclude', nargs='*', default=[], help='images to leave out, by name or path'
    )
    parser.add_argument(
        '--merge',
        nargs='*',
        default=[],
        metavar='A=B',
        help='count class A as class B, in predictions and labels',
    )
    parser.add_argument(
        '--score', default='', help='class names in the mean, separated by commas; all by default'
    )
    parser.add_argument('--limit', type=int, help='score so many images, evenly spread')


def parse_data_settings(args: Namespace) -> ValidationSettings:
    """The settings that the arguments stand for.

    Raises:
        ValueError: neither a data set nor both folders are named, or --merge is malformed.
    """
    if args.root is None and (args.images is None or args.labels is None):
        raise ValueError(
            'name --images and --labels, or --kind and --root of a data set as downloaded'
        )
    return ValidationSettings(
        root=args.root or '.',
        kind=args.kind,
        images=args.images,
        labels=args.labels,
        label_suffix=args.label_suffix,
        label_ids=args.label_ids,
        label_map=args.label_map,
        split=args.split,
        conditions=args.conditions,
        exclude=args.exclude,
        limit=args.limit,
        merge=parse_merge(args.merge),
        score=[name.strip() for name in args.score.split(',') if name.strip()],
    )


def open_frames(settings: ValidationSettings, classes: ClassSet) -> ValidationFrames:
    """Open the frames; errors name arguments where those of a run would name settings.

    Raises:
        ValueError: see `ValidationFrames`.
    """
    try:
        return ValidationFrames(settings, classes)
    except ValueError as error:
        # What a settings file calls validation.label_suffix is --label-suffix here.
        text = str(error)
        if settings.root == '.':
            text = text.replace('validation.root and ', '')
        text = re.sub(r'validation\.(\w+)', lambda m: '--' + m[1].replace('_', '-'), text)
        raise ValueError(text) from error


@contextmanager
def naming_frame(frame: ValidationFrame) -> Iterator[None]:
    """Have errors of the work on a frame name its file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f'{frame.file}: {error}') from error


def parse_merge(pairs: Sequence[str]) -> dict[str, str]:
    """Turn `truck=car` pairs into a dict; ValueError names a pair that is none."""
    merge = {}
    for pair in pairs:
        name, equals, target = (part.strip() for part in pair.partition('='))
        if not (name and equals and target):
            raise ValueError(f'--merge {pair!r}: expected CLASS=CLASS, such as truck=car')
        merge[name] = target
    return merge
