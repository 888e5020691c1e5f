"""Everything the doctor wants to know of a frame, in one reading of its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hrda_core.classes import IGNORE
from hrda_core.image_codec import decode_bytes
from hrda_core.image_headers import inspect_image
from training.data.frames import LabelledFrames
from training.data.transforms import count_labels
from training.doctor.frame_sets import FrameSet
from training.extraction.image_hash import HASH_SIDE, hash_grey
from training.image_files import image_size
from training.progress import Display

ORIENTATION = 0x0112
"""EXIF tag that says how a viewer should turn the picture; 1 = not at all."""
GREY_TOLERANCE = 4
"""Colour channels of a grey picture differ by no more, after JPEG and shrinking (0..255)."""
CHUNK = 256
"""Frames that are handed to the threads at once."""


@dataclass(frozen=True)
class Pixels:
    """What the decoded pixels of an image say.

    Attributes:
        mean: of each channel, 0..255, (3,) RGB.
        variance: of each channel, (3,) RGB.
        grey: whether all channels are equal.
        sha1: of the file's bytes.
        dhash: difference hash, uint8 (32,), 256 bits.
    """

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    grey: bool
    sha1: str
    dhash: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FrameFacts:
    """What is known of one frame; what could not be read has its reason instead.

    Attributes:
        size: (width, height) of the image [px]; None = unreadable.
        bits: depth of a channel.
        orientation: of the EXIF data; 1 = upright.
        image_error: why the image cannot be read.
        pixels: None where headers alone were read, or the image cannot be.
        label_size: (width, height) of the label [px]; None = no label, or unreadable.
        label_error: why the label cannot be read.
        counts: int64 (classes + 1,), pixels of every class, and ignored ones at the end.
        strange_ids: pixels of every id of the label file that is no class.
    """

    size: tuple[int, int] | None = None
    bits: int = 8
    orientation: int = 1
    image_error: str = ''
    pixels: Pixels | None = None
    label_size: tuple[int, int] | None = None
    label_error: str = ''
    counts: npt.NDArray[np.int64] | None = None
    strange_ids: dict[int, int] = field(default_factory=dict)


def examine_set(frames: FrameSet, quick: bool, display: Display) -> tuple[FrameFacts, ...]:
    """Read all frames of a set in threads.

    Args:
        frames: the set.
        quick: read headers alone.
        display: where progress is shown.
    """
    look = partial(_examine, frames, quick=quick)
    facts = _in_threads(look, range(len(frames)))
    return tuple(display.track(facts, f'reading {frames.role}', len(frames)))


def _in_threads(look: partial[FrameFacts], indices: range) -> Iterator[FrameFacts]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        # In chunks, so that an interrupt ends the reading soon.
        for start in range(0, len(indices), CHUNK):
            yield from pool.map(look, indices[start : start + CHUNK])


def _examine(frames: FrameSet, index: int, *, quick: bool) -> FrameFacts:
    image = _image_header(frames.images[index]) if quick else _image(frames.images[index])
    if frames.labelled is None:
        return FrameFacts(**image)
    label = _label_header(frames.labelled, index) if quick else _label(frames.labelled, index)
    return FrameFacts(**image, **label)


def _image_header(path: Path) -> dict[str, Any]:
    try:
        size = image_size(path)
        with Image.open(path) as image:
            bits = 16 if image.mode.startswith('I') else 8
            orientation = int(image.getexif().get(ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return {'image_error': str(error)}
    return {'size': size, 'bits': bits, 'orientation': orientation}


def _image(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        header = inspect_image(data)
        # Training decodes less strictly and would take a cut-off JPEG with a grey rest.
        image = decode_bytes(data)
    except (OSError, ValueError) as error:
        return {'image_error': str(error)}
    orientation = _image_header(path).get('orientation', 1)
    return {
        'size': (header.width, header.height),
        'bits': header.bits,
        'orientation': orientation,
        'pixels': look_at_pixels(image, hashlib.sha1(data, usedforsecurity=False).hexdigest()),
    }


def look_at_pixels(image: npt.NDArray[np.uint8], sha1: str = '') -> Pixels:
    """Statistics and the difference hash of an image.

    Shape:
        image: uint8 (H, W, 3) RGB.
    """
    mean, deviation = cv2.meanStdDev(image)
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.int16)
    spread = (small.max(axis=2) - small.min(axis=2)).max()
    return Pixels(
        mean.ravel(),
        deviation.ravel() ** 2,
        bool(spread <= GREY_TOLERANCE),
        sha1,
        difference_hash(image),
    )


def difference_hash(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """256 bits that stay nearly the same when an image is resized, re-encoded or a bit brighter.

    Shape:
        image: uint8 (H, W, 3) RGB; result: uint8 (32,).
    """
    return hash_grey(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _label_header(frames: LabelledFrames, index: int) -> dict[str, Any]:
    try:
        return {'label_size': image_size(frames.labels[index])}
    except ValueError as error:
        return {'label_error': str(error)}


def _label(frames: LabelledFrames, index: int) -> dict[str, Any]:
    try:
        label = frames.read_label(index)
    except ValueError as error:
        return {'label_error': str(error), 'strange_ids': _strange_ids(frames, index)}
    counts = count_labels(label)
    known = np.append(counts[: len(frames.classes)], counts[IGNORE])
    strange = _strange_ids(frames, index) if frames.codec.tolerant else {}
    return {
        'label_size': (label.shape[1], label.shape[0]),
        'counts': known,
        'strange_ids': strange,
    }


def _strange_ids(frames: LabelledFrames, index: int) -> dict[int, int]:
    """Ids of a label file that are no class, with their pixels; none where it is unreadable."""
    try:
        return frames.codec.strange(frames.labels[index])
    except ValueError:
        return {}


def readable(facts: Iterable[FrameFacts]) -> list[int]:
    """Positions of the frames whose images were decoded."""
    return [i for i, each in enumerate(facts) if each.pixels is not None]


def hashes(facts: Sequence[FrameFacts]) -> npt.NDArray[np.uint8]:
    """Difference hashes of the decoded frames, uint8 (frames, 32), in their order."""
    found = [each.pixels.dhash for each in facts if each.pixels is not None]
    return np.stack(found) if found else np.zeros((0, HASH_SIDE * HASH_SIDE // 8), np.uint8)
