"""The settings of inference as arguments of a command."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from jsonargparse import ArgumentParser, Namespace

from hrda_core.architecture import Architecture
from hrda_core.inference import InferenceSettings, parse_class_weights
from hrda_core.windows import scaled_size

LIMITS = ('threshold', 'budget', 'deadline_ms')


def add_inference_arguments(parser: ArgumentParser, without: Collection[str] = ()) -> None:
    """Declare --device, --precision, --mode and all else that `InferenceSettings` has.

    Args:
        parser: gets the arguments.
        without: fields that the command has no use for.
    """
    parser.add_class_arguments(InferenceSettings, skip={'class_weights', *without})
    parser.add_argument(
        '--class_weights',
        default='',
        help='weights of classes in the score of a window, such as "person=4, rider=2"; 1 for '
        'those not named',
    )


def check_window_size(size: int, image: tuple[int, int], architecture: Architecture) -> None:
    """Refuse windows that are larger than the image they are cut from.

    Args:
        size: as asked for [px of the scaled image]; 0, the trained size, is always right.
        image: (width, height) [px].
        architecture: says how images are scaled.

    Raises:
        ValueError: one window would be more than the whole image.
    """
    longer = max(scaled_size(image[1], image[0], architecture))
    if size > max(longer, architecture.detail_size):
        raise ValueError(
            f'windows of {size} px are larger than an image of {image[0]}x{image[1]} px, whose '
            f'longer side is {longer} px as the network sees it; take smaller ones, or 0 for the '
            'trained size'
        )


def inference_settings(args: Namespace) -> InferenceSettings:
    """The settings that were given; those that the command does not offer have their defaults.

    Raises:
        ValueError: a value is outside its range, or a limit has no effect in this mode.
    """
    given = [name for name in LIMITS if args.get(name) is not None]
    if given and args.mode == 'exact':
        raise ValueError(f'--{given[0]} has no effect in mode exact; add --mode=anytime')
    names = [field.name for field in fields(InferenceSettings) if field.name in args]
    values = {name: args[name] for name in names}
    weights = parse_class_weights(args.class_weights)
    if weights and args.get('mode') == 'exact':
        raise ValueError('--class_weights has no effect in mode exact; add --mode=anytime')
    return InferenceSettings(**(values | {'class_weights': weights}))
