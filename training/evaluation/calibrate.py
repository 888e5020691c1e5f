"""Make a checkpoint's confidence honest on a few labelled frames; changes no label.

Usage: hrda calibrate X.safetensors --images DIR --labels DIR [-o NEW]
       hrda calibrate X.safetensors --kind cityscapes --root DIR [--limit 50]

One number, the temperature, is fitted by the likelihood of the labels and written into the
checkpoint. Everything that runs it divides by it. Take frames of the camera, and as few as 8 will
do; on the simulator a network is right more often, and its temperature there can be the wrong way.
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from hrda_core.checkpoints import add_metadata, load_model
from hrda_core.segmenter import Segmenter
from hrda_core.temperature import FittedTemperature
from training.data.settings import ValidationSettings
from training.deployment.arguments import add_inference_arguments, inference_settings
from training.evaluation.arguments import (
    add_data_arguments,
    naming_frame,
    open_frames,
    parse_data_settings,
)
from training.evaluation.scores import ConfusionMatrix
from training.evaluation.temperature import LEAST, MOST, LabelledPixels, fit_temperature
from training.progress import Display, displayed
from training.whole_files import check_writable

NEAR_THE_END = 1.01


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda calibrate`."""
    parser.add_argument('checkpoint', type=str, help='the .safetensors file to calibrate')
    add_data_arguments(parser)
    parser.add_argument(
        '--pixels', type=int, default=1_000_000, help='labelled pixels to draw, of all frames'
    )
    parser.add_argument('-o', '--output', help='write here and leave the checkpoint as it is')
    add_inference_arguments(parser)


def run(args: Namespace) -> int:
    """Fit, show the errors before and after, and store the temperature."""
    if args.pixels < 1:
        raise ValueError(f'--pixels {args.pixels}: expected at least 1')
    settings = parse_data_settings(args)
    model, output = load_model(args.checkpoint), args.output or args.checkpoint
    check_writable(output)
    model.metadata.pop(FittedTemperature.key, None)  # fitted anew, not on top of an earlier one
    segmenter = Segmenter(model, inference_settings(args))
    with displayed() as display:
        fitted = _fit(segmenter, settings, args.pixels, display)
    if fitted.error_after > fitted.error_before:
        raise ValueError(
            f'temperature {fitted.temperature:.3f} fits these {fitted.images} frames best, and '
            f'yet their expected calibration error rises from {100 * fitted.error_before:.2f} to '
            f'{100 * fitted.error_after:.2f} %; nothing was written: take more labelled frames, '
            'or leave the checkpoint as it is'
        )
    add_metadata(args.checkpoint, {FittedTemperature.key: fitted.to_json()}, output)
    before, after = (f'{100 * e:.2f} %' for e in (fitted.error_before, fitted.error_after))
    print(
        f'temperature {fitted.temperature:.3f} from {fitted.images} frames: expected calibration '
        f'error there {before} before, {after} after\n'
        f'{output} now holds it; `hrda eval` on others tells how it carries over'
    )
    return 0


def _fit(
    segmenter: Segmenter, settings: ValidationSettings, most: int, display: Display
) -> FittedTemperature:
    frames = open_frames(settings, segmenter.classes)
    matrix = ConfusionMatrix(segmenter.classes, settings.merge)
    per_image = max(most // len(frames), 1)
    pixels = LabelledPixels(matrix.merge, len(segmenter.classes), per_image)
    opened = (frames[number] for number in range(len(frames)))
    for frame in display.track(opened, 'looking at labelled pixels', len(frames)):
        with naming_frame(frame):
            pixels.add(segmenter, frame.image, frame.label)
    temperature = fit_temperature(pixels.loss)
    if not LEAST * NEAR_THE_END < temperature < MOST / NEAR_THE_END:
        raise ValueError(
            f'no temperature between {LEAST:g} and {MOST:g} fits these labels; check that '
            '--label-ids and the class set are those of the labels'
        )
    before, after = pixels.calibration(1.0), pixels.calibration(temperature)
    return FittedTemperature(temperature, before.error(), after.error(), len(frames))
