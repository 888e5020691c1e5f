"""What anytime costs and saves: label flips and mIoU against windows and milliseconds.

Usage: hrda bench anytime X.safetensors --images DIR [--labels DIR] [-o FOLDER]
       hrda bench anytime X.safetensors --kind cityscapes --root DIR --limit 20 --sizes 512 256

Every window of an image is computed once and all policies are replayed on it: orders by score, by
chance and by the flips themselves (the best possible), budgets and thresholds. Times are taken by
the segmenter itself, at a few budgets and deadlines. Writes anytime.png, .csv and .json.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from hrda_core.checkpoints import load_model
from hrda_core.classes import ClassSet
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from training.benchmark.anytime_curves import (
    Frame,
    Frames,
    PlanCurves,
    Point,
    published_point,
)
from training.benchmark.anytime_plots import plot_anytime
from training.benchmark.anytime_report import COLUMNS, anytime_tables, plain_rows, row_of
from training.benchmark.inference_specs import Network
from training.benchmark.report import WIDTH, write_csv, write_figures
from training.data.validation_frames import ValidationFrames
from training.deployment.arguments import (
    LIMITS,
    add_inference_arguments,
    check_window_size,
    inference_settings,
)
from training.evaluation.arguments import (
    add_data_arguments,
    open_frames,
    parse_data_settings,
    parse_merge,
)
from training.evaluation.scores import ConfusionMatrix
from training.image_files import list_images, read_image, spread
from training.progress import Display, displayed
from training.whole_files import check_writable

UNUSED = ('mode', *LIMITS, 'window_size', 'window_overlap')
"""Settings that the curves go through, or that --sizes and --overlaps stand for."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda bench anytime`."""
    parser.add_argument('checkpoint', help='a trained network with a detail branch')
    add_data_arguments(parser)
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=int,
        default=[0],
        help='sides of windows [px of the scaled image]; 0 is the trained size',
    )
    parser.add_argument(
        '--overlaps', nargs='+', type=int, default=[0], help='of neighbours [px], for every size'
    )
    parser.add_argument(
        '--image-scale', type=float, help='resize images so, instead of as the checkpoint says'
    )
    parser.add_argument('--threads', type=int, help='of torch on a CPU')
    parser.add_argument('-o', '--output', default='anytime', help='folder of the results')
    add_inference_arguments(parser, without=UNUSED)


def run(args: Namespace) -> int:
    """Measure, print the table, write figure and files."""
    if args.threads is not None and args.threads < 1:
        raise ValueError(f'--threads {args.threads} must be at least 1')
    check_writable(args.output, folder=True)
    settings, model = inference_settings(args), load_model(args.checkpoint)
    if args.image_scale is not None:
        model.architecture = dataclasses.replace(model.architecture, image_scale=args.image_scale)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    frames = open_data(args, model.classes)
    height, width = frames[0].image.shape[:2]
    for size in args.sizes:
        check_window_size(size, (width, height), model.architecture)
    merge, score = parse_merge(args.merge), [n.strip() for n in args.score.split(',') if n.strip()]
    new_matrix = partial(ConfusionMatrix, model.classes, merge, score)
    with displayed() as display:
        points = _measure(model, settings, args, frames, new_matrix, display)
    folder, images = Path(args.output), len(frames)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row_of(point) for point in points]
    write_csv(folder / 'anytime.csv', COLUMNS, rows)
    write_figures(folder / 'anytime.json', args, {'points': plain_rows(rows)})
    title = f'{Network("", args.checkpoint).title}, {images} images'
    plot_anytime(points, title, folder / 'anytime.png')
    console = Console(highlight=False, width=WIDTH)
    for table in anytime_tables(points):
        console.print(table)
    console.print(f'wrote anytime.png, anytime.csv and anytime.json to {folder}')
    return 0


def _measure(
    model: HRDA,
    settings: InferenceSettings,
    args: Namespace,
    frames: Frames,
    new_matrix: partial[ConfusionMatrix],
    display: Display,
) -> list[Point]:
    free = dataclasses.replace(
        settings, mode='anytime', threshold=0.0, budget=None, deadline_ms=None
    )
    # All are made before the first is measured, so that what cannot be run is found now.
    curves = [
        PlanCurves(
            model, dataclasses.replace(free, window_size=size, window_overlap=overlap), new_matrix
        )
        for size in (size or model.architecture.detail_size for size in args.sizes)
        for overlap in args.overlaps
    ]
    points = [published_point(model, settings, new_matrix, frames, display)]
    for curve in curves:
        points += curve.measure(frames, display)
    return points


class LabelledFrames:
    """Frames with labels, of one size."""

    def __init__(self, frames: ValidationFrames) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, position: int) -> Frame:
        return Frame(*self._frames[position])


class PlainFrames:
    """Images without labels."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, position: int) -> Frame:
        file = self._files[position]
        return Frame(read_image(file), None, str(file))


def open_data(args: Namespace, classes: ClassSet) -> Frames:
    """The frames that the arguments name, without labels if --images stands alone.

    Raises:
        ValueError: nothing is named, there is no image, or images differ in size.
    """
    if args.limit is not None and args.limit < 1:
        raise ValueError(f'--limit {args.limit}: expected at least 1')
    frames: Frames
    if args.images is not None and args.labels is None and args.root is None:
        files = list_images(Path(args.images), 'name a folder of images with --images')
        frames = PlainFrames(spread(files, args.limit or len(files)))
    else:
        frames = LabelledFrames(open_frames(parse_data_settings(args), classes))
    first = frames[0]
    for number in range(1, len(frames)):
        frame = frames[number]
        if frame.image.shape != first.image.shape:
            raise ValueError(
                f'{frame.file} and {first.file} differ in size; times are compared, so all '
                'images must be of one size'
            )
    return frames
