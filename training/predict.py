"""Label image files: class ids, confidence and overlays, by the network that the node runs.

Usage: hrda predict IMAGE_OR_FOLDER... -o DIR --checkpoint X.safetensors
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jsonargparse import ArgumentParser, Namespace
from PIL import Image

from hrda_core.classes import Uint8Array
from hrda_core.image_codec import decode_bytes
from hrda_core.overlay import blend
from hrda_core.segmenter import Segmentation, Segmenter
from training.progress import displayed

SUFFIXES = ('.jpg', '.jpeg', '.png')
SOME_UNREADABLE = 3
"""Exit code when images were left out, as of `hrda extract`."""
KINDS = ('labels', 'confidence', 'overlay')


class ImageFile(NamedTuple):
    """An image and the name, without suffix, that its results get below the output folder."""

    path: Path
    name: Path


def find_images(inputs: Sequence[str]) -> list[ImageFile]:
    """List image files; folders are searched recursively and keep their structure.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: a folder without images, a file of another kind, or two images whose results
            would get the same name.
    """
    found: dict[Path, ImageFile] = {}
    for text in inputs:
        for image in _expand(Path(text)):
            if image.name in found:
                raise ValueError(
                    f'{found[image.name].path} and {image.path} would both become {image.name}; '
                    'predict them into different folders'
                )
            found[image.name] = image
    return list(found.values())


def _expand(path: Path) -> list[ImageFile]:
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such file or folder')
    if path.is_dir():
        files = sorted(p for p in path.rglob('*') if p.suffix.lower() in SUFFIXES)
        if not files:
            raise ValueError(f'{path}: no images in it ({", ".join(SUFFIXES)})')
        return [ImageFile(file, file.relative_to(path).with_suffix('')) for file in files]
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f'{path}: expected an image ({", ".join(SUFFIXES)}) or a folder of them')
    return [ImageFile(path, Path(path.stem))]


def write_results(
    folder: Path,
    name: Path,
    image: Uint8Array,
    result: Segmentation,
    palette: Uint8Array,
    alpha: float,
) -> None:
    """Write labels, confidence and overlay of one image, each whole or not at all.

    Shape:
        image: uint8 (H, W, 3) RGB; palette: uint8 (256, 3) RGB.
    """
    pictures = {
        'labels': (result.labels, 'PNG', '.png'),
        'confidence': (result.confidence, 'PNG', '.png'),
        'overlay': (blend(image, result.labels, palette, alpha), 'JPEG', '.jpg'),
    }
    for kind, (pixels, encoding, suffix) in pictures.items():
        path = folder / kind / name.with_name(name.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, encoding)
        temporary = path.with_name(f'.{path.name}.part')
        temporary.write_bytes(content.getvalue())
        temporary.replace(path)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda predict`."""
    parser.add_argument('images', nargs='+', type=str, help='image files, or folders of them')
    parser.add_argument(
        '-o', '--output', required=True, help='folder for labels/, confidence/ and overlay/'
    )
    parser.add_argument('--checkpoint', required=True, help='the .safetensors file to use')
    parser.add_argument(
        '--alpha', type=float, default=0.5, help='weight of the colours in the overlay, 0..1'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--precision', default='auto', help='auto, fp32, bf16 or fp16')


def run(args: Namespace) -> int:
    """Label every image."""
    images, folder = find_images(args.images), Path(args.output)
    if not 0 <= args.alpha <= 1:
        raise ValueError(f'--alpha {args.alpha} is outside 0..1')
    segmenter = Segmenter.from_checkpoint(args.checkpoint, args.device, args.precision)
    palette = segmenter.classes.palette
    with displayed() as display:
        display.say(f'{args.checkpoint} on {segmenter.description}')
        skipped = 0
        for path, name in display.track(images, 'predicting', len(images)):
            try:
                image = decode_bytes(path.read_bytes())
                result = segmenter.segment(image)
            except ValueError as error:
                skipped += 1
                display.say(f'left out {path}: {error}')
                continue
            write_results(folder, name, image, result, palette, args.alpha)
        display.say(f'wrote {len(images) - skipped} x {", ".join(KINDS)} to {folder}')
    return SOME_UNREADABLE if skipped else 0
