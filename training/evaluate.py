"""Score a checkpoint against labelled images: IoU per class and their mean.

Usage: hrda eval X.safetensors --images DIR --labels DIR [--merge truck=car] [--score road,car]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from hrda_core.classes import Uint8Array
from hrda_core.segmenter import Segmenter
from training.data_settings import ValidationSettings
from training.progress import Display, displayed
from training.run_folder import write_text
from training.scores import ConfusionMatrix, Scores
from training.validation_frames import ValidationFrames

LabelledImage = tuple[Uint8Array, Uint8Array]


def evaluate(
    segmenter: Segmenter,
    images: Iterable[LabelledImage],
    *,
    merge: Mapping[str, str] | None = None,
    score: Sequence[str] = (),
) -> Scores:
    """Segment whole images and compare them with their labels.

    Args:
        segmenter: the network to score.
        images: pairs of uint8 (H, W, 3) RGB and uint8 (H, W) train ids, 255 = ignored.
        merge: class name -> name of the class that it counts as, in predictions and labels.
        score: names of the classes in the mean; empty = all that occur.

    Raises:
        ValueError: merge or score name unknown classes, or an image and its labels differ in
            size.
    """
    matrix = ConfusionMatrix(segmenter.classes, merge, score)
    for image, labels in images:
        matrix.add(segmenter.segment(image).labels, labels)
    return matrix.scores()


def evaluate_folder(
    segmenter: Segmenter, settings: ValidationSettings, display: Display
) -> Scores:
    """Score the frames that the settings name, with progress; errors name the file."""
    return evaluate_frames(
        segmenter, ValidationFrames(settings, segmenter.classes), settings, display
    )


def evaluate_frames(
    segmenter: Segmenter, frames: ValidationFrames, settings: ValidationSettings, display: Display
) -> Scores:
    """Score frames that are open already, with progress."""
    pairs = ((frame.image, frame.label) for frame in map(frames.__getitem__, range(len(frames))))
    shown = display.track(pairs, 'scoring', len(frames))
    return evaluate(segmenter, shown, merge=settings.merge, score=settings.score)


def score_table(scores: Scores) -> Table:
    """A table with a row per class that occurs, and the mean."""
    table = Table('class', title=f'{scores.images} images')
    for column in ('IoU %', 'recall %', 'labelled px', 'in the mean'):
        table.add_column(column, justify='right')
    rows = zip(scores.names, scores.iou, scores.recall, scores.pixels, strict=True)
    for name, iou, recall, pixels in rows:
        if iou == iou or name in scores.scored:
            mark = 'yes' if name in scores.scored else ''
            table.add_row(name, _percent(iou), _percent(recall), f'{pixels:,}', mark)
    table.add_section()
    table.add_row('mean', _percent(scores.miou), '', f'{sum(scores.pixels):,}', '')
    return table


def _percent(value: float) -> str:
    return '-' if value != value else f'{value * 100:.2f}'


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda eval`."""
    parser.add_argument('checkpoint', type=str, help='the .safetensors file to score')
    parser.add_argument('--images', required=True, help='folder of images')
    parser.add_argument('--labels', required=True, help='folder of label PNGs')
    parser.add_argument(
        '--label-suffix', default='', help="text between an image's name and .png in its label's"
    )
    parser.add_argument(
        '--label-ids',
        choices=['train', 'raw'],
        default='train',
        help="train: pixels are class indices, 255 = ignored; raw: mapped by the class set's ids",
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
    parser.add_argument('--json', help='also write the scores to this file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--precision', default='auto', help='auto, fp32, bf16 or fp16')


def run(args: Namespace) -> int:
    """Score, print the table, write the JSON."""
    segmenter = Segmenter.from_checkpoint(args.checkpoint, args.device, args.precision)
    settings = ValidationSettings(
        root='.',
        images=args.images,
        labels=args.labels,
        label_suffix=args.label_suffix,
        label_ids=args.label_ids,
        limit=args.limit,
        merge=parse_merge(args.merge),
        score=[name.strip() for name in args.score.split(',') if name.strip()],
    )
    with displayed() as display:
        display.say(f'{args.checkpoint} on {segmenter.description}')
        scores = evaluate_folder(segmenter, settings, display)
    Console(highlight=False).print(score_table(scores))
    if args.json:
        path = Path(args.json)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({'checkpoint': args.checkpoint, **scores.to_dict()}, indent=2))
    return 0


def parse_merge(pairs: Sequence[str]) -> dict[str, str]:
    """Turn `truck=car` pairs into a dict; ValueError names a pair that is none."""
    merge = {}
    for pair in pairs:
        name, equals, target = (part.strip() for part in pair.partition('='))
        if not (name and equals and target):
            raise ValueError(f'--merge {pair!r}: expected CLASS=CLASS, such as truck=car')
        merge[name] = target
    return merge
