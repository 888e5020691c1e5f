"""Score a checkpoint against labelled images: IoU per class and their mean.

Usage: hrda eval X.safetensors --images DIR --labels DIR [--merge truck=car] [--score road,car]
       hrda eval X.safetensors --kind cityscapes --root DIR [--split val] [--parts] [--plots DIR]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from hrda_core.classes import ClassSet, Uint8Array
from hrda_core.segmenter import Segmenter
from training.data.settings import ValidationSettings
from training.data.validation_frames import ValidationFrames
from training.deployment.arguments import (
    add_inference_arguments,
    check_window_size,
    inference_settings,
)
from training.deployment.effort import Effort
from training.evaluation.arguments import (
    add_data_arguments,
    naming_frame,
    open_frames,
    parse_data_settings,
)
from training.evaluation.calibration import Calibration
from training.evaluation.scores import ConfusionMatrix, Scores
from training.progress import Display, displayed
from training.whole_files import check_writable, write_text

LabelledImage = tuple[Uint8Array, Uint8Array]


class Tally:
    """Everything that is counted over labelled images.

    Args:
        classes: the class set of labels and predictions.
        merge, score: see `ConfusionMatrix`.
        parts: also score context and detail on their own, from the same pass.

    Attributes:
        fused: counts of the network's result.
        calibration: how far its confidence holds.
        effort: windows and time that it took.
        parts: counts of 'context' and 'detail'; empty unless asked for.
    """

    def __init__(
        self,
        classes: ClassSet,
        merge: Mapping[str, str] | None = None,
        score: Sequence[str] = (),
        *,
        parts: bool = False,
    ) -> None:
        self.fused = ConfusionMatrix(classes, merge, score)
        self.calibration = Calibration()
        self.effort = Effort()
        names = ('context', 'detail') if parts else ()
        self.parts = {name: ConfusionMatrix(classes, merge, score) for name in names}

    def add(self, segmenter: Segmenter, image: Uint8Array, labels: Uint8Array) -> None:
        """Segment an image, uint8 (H, W, 3) RGB, and count it against uint8 (H, W) train ids."""
        if self.parts:
            explanation = segmenter.explain(image)
            found = explanation.segmentation
            self.parts['context'].add(explanation.context, labels)
            self.parts['detail'].add(explanation.detail, labels)
        else:
            found = segmenter.segment(image)
        self.effort.add(found)
        self.fused.add(found.labels, labels)
        merge = self.fused.merge
        self.calibration.add(found.confidence, merge(found.labels), merge(labels))


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
    tally = Tally(segmenter.classes, merge, score)
    for image, labels in images:
        tally.add(segmenter, image, labels)
    return tally.fused.scores()


def evaluate_folder(
    segmenter: Segmenter, settings: ValidationSettings, display: Display
) -> Scores:
    """Score the frames that the settings name, with progress; errors name the file."""
    frames = ValidationFrames(settings, segmenter.classes)
    return evaluate_frames(segmenter, frames, settings, display)


def evaluate_frames(
    segmenter: Segmenter, frames: ValidationFrames, settings: ValidationSettings, display: Display
) -> Scores:
    """Score frames that are open already, with progress."""
    tally = Tally(segmenter.classes, settings.merge, settings.score)
    return tally_frames(tally, segmenter, frames, display).fused.scores()


def tally_frames(
    tally: Tally, segmenter: Segmenter, frames: ValidationFrames, display: Display
) -> Tally:
    """Count frames that are open already, with progress; returns the tally."""
    opened = (frames[number] for number in range(len(frames)))
    for frame in display.track(opened, 'scoring', len(frames)):
        with naming_frame(frame):
            tally.add(segmenter, frame.image, frame.label)
    return tally


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
    for name, miou in scores.benchmarks().items():
        table.add_row(name, _percent(miou), '', '', '')
    return table


def parts_table(parts: Mapping[str, Scores]) -> Table:
    """IoU per class of context, detail and fused result side by side."""
    table = Table('class', title='IoU % of each resolution alone, and fused')
    for name in parts:
        table.add_column(name, justify='right')
    everyone = list(parts.values())
    for number, name in enumerate(everyone[-1].names):
        values = [scores.iou[number] for scores in everyone]
        if any(value == value for value in values):
            table.add_row(name, *map(_percent, values))
    table.add_section()
    table.add_row('mean', *(_percent(scores.miou) for scores in everyone))
    return table


def _percent(value: float) -> str:
    return '-' if value != value else f'{value * 100:.2f}'


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda eval`."""
    parser.add_argument('checkpoint', type=str, help='the .safetensors file to score')
    add_data_arguments(parser)
    parser.add_argument('--json', help='also write the scores to this file')
    parser.add_argument(
        '--plots', metavar='DIR', help='write confusion.png and reliability.png into this folder'
    )
    parser.add_argument(
        '--parts', action='store_true', help='also score context and detail on their own'
    )
    add_inference_arguments(parser)


def run(args: Namespace) -> int:
    """Score, print the table, write the JSON."""
    settings = parse_data_settings(args)
    check_writable(args.json)
    check_writable(args.plots, folder=True)
    segmenter = Segmenter.from_checkpoint(args.checkpoint, inference_settings(args))
    if args.parts and not segmenter.model.architecture.multi_resolution:
        raise ValueError(f'--parts: {args.checkpoint} has one resolution only')
    tally = Tally(segmenter.classes, settings.merge, settings.score, parts=args.parts)
    frames = open_frames(settings, segmenter.classes)
    check_window_size(args.window_size, frames.largest(), segmenter.model.architecture)
    with displayed() as display:
        display.say(f'{args.checkpoint} on {segmenter.description}')
        tally_frames(tally, segmenter, frames, display)
    _print(tally, segmenter)
    if args.json:
        _write_json(tally, args.checkpoint, segmenter.temperature, Path(args.json))
    if args.plots:
        _write_plots(tally, Path(args.plots))
    return 0


def _print(tally: Tally, segmenter: Segmenter) -> None:
    console, scores = Console(highlight=False), tally.fused.scores()
    console.print(score_table(scores))
    temperature = segmenter.temperature
    how = f'temperature {temperature:.3f}' if temperature != 1 else 'not calibrated'
    error = _percent(tally.calibration.error())
    console.print(f'expected calibration error {error} % ({how})')
    console.print(tally.effort.summary(segmenter.settings))
    if tally.parts:
        parts = {name: matrix.scores() for name, matrix in tally.parts.items()}
        console.print(parts_table({**parts, 'fused': scores}))


def _write_json(tally: Tally, checkpoint: str, temperature: float, path: Path) -> None:
    values = {
        'checkpoint': checkpoint,
        **tally.fused.scores().to_dict(),
        'temperature': temperature,
        'calibration': tally.calibration.to_dict(),
        'confusion': tally.fused.to_dict(),
        'effort': tally.effort.to_dict(),
    }
    if tally.parts:
        values['parts'] = {name: m.scores().to_dict() for name, m in tally.parts.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(values, indent=2))


def _write_plots(tally: Tally, folder: Path) -> None:
    from training.evaluation.plots import plot_confusion, plot_reliability

    folder.mkdir(parents=True, exist_ok=True)
    plot_confusion(tally.fused, folder / 'confusion.png')
    plot_reliability(tally.calibration, folder / 'reliability.png')
