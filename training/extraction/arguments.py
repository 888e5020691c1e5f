"""The options of `hrda extract` that choose frames and change them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from training.extraction.rate import parse_interval
from training.extraction.settings import ChoiceSettings, PictureSettings

CLEAN = ChoiceSettings(min_change=12, min_brightness=0.4, max_white=0.25, min_sharpness=0.4)
"""What --clean stands for: usual values for near-duplicates, dark, white and blurred frames."""
_CLEANED = ('min_change', 'min_brightness', 'max_white', 'min_sharpness')


def add_choice_arguments(parser: ArgumentParser) -> None:
    """Declare what `choice_settings` reads."""
    parser.add_argument(
        '--every', default=None, metavar='TIME', help='one frame per 0.5s, 500ms or at 2Hz'
    )
    parser.add_argument(
        '--max-frames', type=int, default=0, help='most frames of a drive, spread over its time'
    )
    parser.add_argument(
        '--min-motion',
        type=float,
        default=0.0,
        metavar='LEVELS',
        help='leave out frames that differ less from the last kept one [grey levels], such as 3',
    )
    parser.add_argument(
        '--clean',
        action='store_true',
        help='leave out near-duplicates, dark, over-exposed and blurred frames: the next four '
        f'with {", ".join(f"{getattr(CLEAN, name):g}" for name in _CLEANED)}',
    )
    parser.add_argument(
        '--min-change',
        type=int,
        default=None,
        metavar='BITS',
        help='bits of 256 that a hash must differ in from the last kept frame',
    )
    helps = {
        'min_brightness': 'leave out frames below this share of the median brightness',
        'max_white': 'leave out frames with this much more white than the median, 0..1',
        'min_sharpness': 'leave out frames below this share of the median sharpness',
    }
    for name, text in helps.items():
        option = f'--{name.replace("_", "-")}'
        parser.add_argument(option, type=float, default=None, metavar='SHARE', help=text)


def choice_settings(args: Any) -> ChoiceSettings:
    """Which frames the arguments ask for.

    Raises:
        ValueError: a value outside its range.
    """
    usual = CLEAN if args.clean else ChoiceSettings()
    given = {name: getattr(args, name) for name in _CLEANED}
    return ChoiceSettings(
        every_ns=0 if args.every is None else parse_interval(args.every),
        max_frames=args.max_frames,
        min_motion=args.min_motion,
        **{n: getattr(usual, n) if value is None else value for n, value in given.items()},
    )


def add_picture_arguments(parser: ArgumentParser) -> None:
    """Declare what `picture_settings` reads."""
    parser.add_argument(
        '--format', choices=['jpg', 'png'], default='jpg', help='of images that are not copied'
    )
    parser.add_argument(
        '--undistort', action='store_true', help='by the CameraInfo in the recording'
    )
    parser.add_argument(
        '--crop', default=None, metavar='L,T,W,H', help='keep this part: left, top, width, height'
    )
    parser.add_argument(
        '--resize', default=None, metavar='WxH', help='make smaller to fit into this [px]'
    )
    parser.add_argument(
        '--mask',
        default=None,
        metavar='FILE',
        help='picture of the size of the recorded frames, black where not to learn (bonnet)',
    )
    parser.add_argument(
        '--anonymise',
        default=None,
        metavar='HOOK',
        help="'module:function' or 'command {input} {output}' that hides faces and plates",
    )


def picture_settings(args: Any) -> PictureSettings:
    """What the arguments ask to be done to frames.

    Raises:
        ValueError: numbers that cannot be read, or no such mask.
    """
    mask = None if args.mask is None else Path(args.mask)
    if mask is not None and not mask.is_file():
        raise ValueError(f'--mask {mask}: there is no such file; give a picture')
    crop = None if args.crop is None else _numbers(args.crop, ',', 4, '--crop', '0,100,1920,900')
    size = None if args.resize is None else _numbers(args.resize, 'x', 2, '--resize', '1280x720')
    return PictureSettings(
        image_format=args.format,
        undistort=args.undistort,
        crop=None if crop is None else (crop[0], crop[1], crop[2], crop[3]),
        resize=None if size is None else (size[0], size[1]),
        mask=mask,
        anonymise=args.anonymise,
    )


def _numbers(text: str, sign: str, count: int, option: str, example: str) -> list[int]:
    parts = [part.strip() for part in text.lower().split(sign)]
    if len(parts) != count or not all(part.isdecimal() for part in parts):
        raise ValueError(f'{option} {text!r} must be {count} whole numbers, such as {example}')
    numbers = [int(part) for part in parts]
    if min(numbers[-2:]) < 1:
        raise ValueError(f'{option} {text!r} leaves nothing; width and height must be above 0')
    return numbers
