"""Write the images of a folder into a rosbag2 recording, as a camera would have done.

    hrda make-bag images -o drive --topic /camera/image_raw --rate 15
    ros2 bag play drive

JPEG and PNG files go to TOPIC/compressed with their bytes unchanged, or with --raw to TOPIC as
rgb8. They are sorted by name; stamps begin at --start, so that the same files give the same bag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from hrda_core.image_codec import ImageDecodeError, decode_bytes
from hrda_core.image_headers import inspect_image
from training.bags.writing import TimedImage, write_image_bag
from training.progress import displayed

SUFFIXES = ('.jpg', '.jpeg', '.png')
_SECOND_NS = 1_000_000_000
_LAST_SECOND = 2**31 - 1
_TOPIC = re.compile(r'/?[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*')


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('images', metavar='IMAGES_DIR', help='folder with .jpg and .png files')
    parser.add_argument('-o', '--output', required=True, metavar='BAG', help='folder to make')
    parser.add_argument('--topic', default='/camera/image_raw', help='raw topic of the camera')
    parser.add_argument('--rate', type=float, default=15.0, help='images per second [Hz]')
    parser.add_argument('--start', type=float, default=1.0, help='stamp of the first image [s]')
    parser.add_argument('--frame-id', default='camera', help='frame of the headers')
    parser.add_argument('--raw', action='store_true', help='decode, and write rgb8 images')


def run(args: Any) -> int:
    """Write the recording.

    Raises:
        ValueError: no images, a damaged one, an impossible rate, start, topic, an existing output.
    """
    if not 0 < args.rate <= 1000 or not 0 <= args.start <= _LAST_SECOND:
        raise ValueError(
            f'--rate {args.rate} and --start {args.start}; expected a rate above 0 and up to '
            f'1000 Hz, and a start from 0 to {_LAST_SECOND} s'
        )
    topic = f'/{args.topic.lstrip("/")}'
    if not _TOPIC.fullmatch(topic) or '__' in topic:
        raise ValueError(f"'{args.topic}' cannot name a topic; use a name like /camera/image_raw")
    files = list_files(Path(args.images))
    with displayed() as display:
        shown = display.track(files, 'images', len(files))
        images = timed_images(shown, args.rate, round(args.start * _SECOND_NS), args.raw)
        count = write_image_bag(Path(args.output), images, topic, args.frame_id)
    written = topic if args.raw else f'{topic}/compressed'
    print(f'{count} images written to {args.output} on {written} at {args.rate:g} Hz')
    print(f'Take them out again: hrda extract {args.output} -o DIR')
    return 0


def list_files(folder: Path) -> list[Path]:
    """The image files of a folder (not of those in it), sorted by name.

    Raises:
        ValueError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise ValueError(f'there is no folder {folder}; give one with .jpg or .png files')
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith('.')
    )
    if not files:
        raise ValueError(f'{folder} holds no image ({", ".join(SUFFIXES)}); give another')
    return files


def timed_images(
    files: Iterable[Path], rate_hz: float, start_ns: int, raw: bool
) -> Iterator[TimedImage]:
    """Read image files one by one, stamped at a steady rate.

    Args:
        files: JPEG or PNG files.
        rate_hz: images per second.
        start_ns: stamp of the first [ns].
        raw: decode to RGB instead of handing the bytes on.

    Raises:
        ImageDecodeError: a damaged file; it is named.
    """
    for number, file in enumerate(files):
        stamp_ns = start_ns + round(number * _SECOND_NS / rate_hz)
        data = file.read_bytes()
        try:
            if not raw:
                inspect_image(data)
            yield TimedImage(stamp_ns, decode_bytes(data) if raw else data)
        except ImageDecodeError as error:
            raise ImageDecodeError(f'{file}: {error}') from error
