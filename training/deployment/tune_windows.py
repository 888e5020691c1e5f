"""Find out how few detail windows are enough on your camera's images; needs no labels.

Usage: hrda tune-windows X.safetensors IMAGES... [--max-flips 0.2%] [--sizes 0,256] [-o NEW]

Labels with some windows are compared with those of all windows of the same plan. The cheapest
window size and threshold are written into the checkpoint, where mode anytime finds them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hrda_core.checkpoints import add_metadata, load_model
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from hrda_core.tuning import TunedWindows
from training.deployment.arguments import (
    LIMITS,
    add_inference_arguments,
    check_window_size,
    inference_settings,
)
from training.deployment.chosen_images import choose_images
from training.deployment.window_tuning import Curve, Trial, measure
from training.image_files import image_size, read_image
from training.progress import Display, displayed
from training.whole_files import check_writable

UNUSED = ('mode', *LIMITS, 'ageing', 'window_batch')
"""Settings without effect: every window is computed, one after the other, on every image."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda tune-windows`."""
    parser.add_argument('checkpoint', help='the .safetensors file to tune')
    parser.add_argument('images', nargs='+', help='images of the camera, or folders of them')
    parser.add_argument(
        '--max-flips',
        default='0.2%',
        help='labels that may differ from those of all windows, as a share or in percent',
    )
    parser.add_argument(
        '--sizes',
        default='',
        help='window sizes to try [px of the scaled image], e.g. 128,256; by default the trained '
        'size and half of it',
    )
    parser.add_argument(
        '--frames', type=int, default=20, help='images to measure, spread over all; 0 for all'
    )
    parser.add_argument('-o', '--output', help='write here and leave the checkpoint as it is')
    add_inference_arguments(parser, without=UNUSED)


def run(args: Namespace) -> int:
    """Measure every window size, show what it gives, and keep the cheapest."""
    limit, paths = parse_share(args.max_flips), choose_images(args.images, args.frames)
    model, output = load_model(args.checkpoint), args.output or args.checkpoint
    check_writable(output)
    settings = replace(inference_settings(args), mode='anytime')
    # All before the first is measured, so that what cannot be is found now.
    tried = [replace(settings, window_size=n) for n in _sizes(args.sizes, settings, model)]
    largest = max(map(image_size, paths), key=max)
    for each in tried:
        check_window_size(each.window_size, largest, model.architecture)
    curves = {}
    with displayed() as display:
        for each in tried:
            curves[each.window_size] = _measure(model, each, paths, display)
    found = {size: curve.cheapest(limit) for size, curve in curves.items()}
    best = min(found, key=lambda size: found[size].milliseconds)
    console = Console(highlight=False)
    console.print(_table(found, curves, best, len(paths)))
    tuned = TunedWindows(
        found[best].threshold,
        best,
        settings.window_overlap,
        settings.context,
        settings.window_score,
        limit,
        settings.shrink,
    )
    add_metadata(args.checkpoint, {TunedWindows.key: tuned.to_json()}, output)
    console.print(f'{output} now holds threshold {tuned.threshold:.4g} for windows of {best} px')
    return 0


def parse_share(text: str) -> float:
    """Read '0.2%' or '0.002'.

    Raises:
        ValueError: neither, or outside 0..1.
    """
    found = re.fullmatch(r'\s*([0-9.]+(?:e-?\d+)?)\s*(%?)\s*', text)
    try:
        share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f'--max-flips {text!r}: expected a share such as 0.2% or 0.002')
    return share


def _sizes(text: str, settings: InferenceSettings, model: HRDA) -> list[int]:
    trained = model.architecture.detail_size
    if not text:
        return [settings.window_size] if settings.window_size else [trained, trained // 32 * 16]
    try:
        sizes = [int(part) or trained for part in text.split(',')]
    except ValueError:
        raise ValueError(f'--sizes {text!r}: expected sizes in pixels such as 128,256') from None
    return list(dict.fromkeys(sizes))


def _measure(
    model: HRDA, settings: InferenceSettings, paths: Sequence[Path], display: Display
) -> Curve:
    segmenter = Segmenter(model, settings)
    title = f'windows of {settings.window_size} px'
    return measure(
        segmenter, (read_image(path) for path in display.track(paths, title, len(paths)))
    )


def _table(found: dict[int, Trial], curves: dict[int, Curve], best: int, images: int) -> Table:
    table = Table(
        escape('window [px]'), title=f'the fewest windows that keep to the limit, {images} images'
    )
    for column in (
        'threshold',
        'windows',
        'labels that differ',
        'network [ms]',
        'all windows [ms]',
    ):
        table.add_column(escape(column), justify='right')
    for size, trial in found.items():
        everything = curves[size].trial(0.0)
        table.add_row(
            f'{size}{" *" if size == best else ""}',
            f'{trial.threshold:.4g}',
            f'{100 * trial.share:.1f} %',
            f'{100 * trial.flips:.3f} %',
            f'{trial.milliseconds:.0f}',
            f'{everything.milliseconds:.0f}',
        )
    return table
