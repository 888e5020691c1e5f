"""Finding and reading image files, with errors that name the file."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from hrda_core.image_headers import inspect_image

T = TypeVar('T')
Uint8Array = npt.NDArray[np.uint8]
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
EXTRACTED = {'extraction.json': 'mask.png', 'splits.json': 'contact_sheet.jpg'}
"""Files that `hrda extract` writes → the pictures beside them that are no frames."""
_TAIL = 4096
_ENDS = {b'\xff\xd8\xff': b'\xff\xd9', b'\x89PN': b'IEND\xaeB`\x82'}
"""First bytes of JPEG and PNG files → the marker at their end."""


def list_images(
    folder: Path,
    remedy: str,
    skip_suffix: str = '',
    *,
    suffix: str = '',
    skip_folder: Path | None = None,
) -> list[Path]:
    """All images below a folder, sorted; hidden files and folders are left out.

    So are the pictures that `hrda extract` writes beside frames: mask and contact sheet.

    Args:
        folder: searched recursively for .jpg, .jpeg and .png.
        remedy: what to do about a missing or empty folder, for the error.
        skip_suffix: leave out .png files whose name ends so (labels among the images).
        suffix: leave out files whose name, without .jpg or .png, does not end so.
        skip_folder: a folder, and all below it, that is left out.

    Raises:
        ValueError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise ValueError(f'there is no folder {folder}; {remedy}')
    found = []
    for directory, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith('.') and Path(directory, name) != skip_folder
        )
        found += [
            Path(directory, name)
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES)
            and not name.startswith('.')
            and not is_beside_frames(Path(directory, name))
        ]
    if skip_suffix:
        found = [path for path in found if not path.name.endswith(f'{skip_suffix}.png')]
    found = [path for path in found if path.stem.endswith(suffix)]
    if not found:
        named = f' whose name ends in {suffix}' if suffix else ''
        raise ValueError(f'{folder} holds no image{named} ({", ".join(IMAGE_SUFFIXES)}); {remedy}')
    return sorted(found)


def is_beside_frames(path: Path) -> bool:
    """Whether a picture is one that `hrda extract` writes beside frames: mask or contact sheet."""
    return any(
        path.name == picture and path.with_name(file).is_file()
        for file, picture in EXTRACTED.items()
    )


def spread(items: Sequence[T], count: int) -> list[T]:
    """So many of some things, evenly spread; all of them if there are fewer."""
    count = min(count, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def exclude_images(
    images: Sequence[Path], root: Path, patterns: Sequence[str], setting: str
) -> list[Path]:
    """Leave out images by name.

    Args:
        images: files below the root.
        root: folder of the data set.
        patterns: names or paths below the root, with * and ? for any text and character.
        setting: where the patterns stand, for the error.

    Raises:
        ValueError: a pattern fits no image, or together they leave none.
    """
    left = list(images)
    for pattern in patterns:
        kept = [path for path in left if not _fits(path, root, pattern)]
        if len(kept) == len(left) and not any(_fits(path, root, pattern) for path in images):
            raise ValueError(f'{setting}: {pattern!r} is the name of no image below {root}')
        left = kept
    if not left:
        raise ValueError(f'{setting} leaves no image of the {len(images)} below {root}')
    return left


def _fits(path: Path, root: Path, pattern: str) -> bool:
    return fnmatch(path.name, pattern) or fnmatch(os.path.relpath(path, root), pattern)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) [px] of an image or label, from its header; fast.

    The end of the file is looked at too, since files are often cut off when they are copied.

    Raises:
        ValueError: the file is missing, cut off or no image.
    """
    try:
        with path.open('rb') as file:
            with Image.open(file) as image:
                width, height = image.size
            _check_whole(file)
    except UnidentifiedImageError as error:
        reason = 'it is no picture' if path.stat().st_size else 'it is empty'
        raise _unreadable(path, reason) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return int(width), int(height)


def check_images(paths: Sequence[Path]) -> None:
    """Look at header and end of many images.

    Raises:
        ValueError: one is missing, cut off or no image; the first of them is named.
    """
    with ThreadPoolExecutor(thread_count()) as pool:
        try:
            for _ in pool.map(image_size, paths):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def thread_count() -> int:
    """How many threads read files at once: those that the process may run on."""
    return len(os.sched_getaffinity(0))


def read_image(path: Path) -> Uint8Array:
    """Read an image as uint8 (H, W, 3) RGB.

    Raises:
        ValueError: the file is missing, cut off or no image.
    """
    try:
        data = path.read_bytes()
        _check_whole(io.BytesIO(data))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise _unreadable(path, 'it is damaged')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _unreadable(path: Path, reason: Exception | str) -> ValueError:
    if isinstance(reason, OSError) and reason.strerror:
        reason = reason.strerror
    return ValueError(f'{path} cannot be read as an image; remove it or copy it again: {reason}')


def _check_whole(file: BinaryIO) -> None:
    """Raise ValueError if a file is cut off; reads its last bytes, and all if in doubt."""
    file.seek(0)
    start = file.read(3)
    if not start:
        raise ValueError('it is empty')
    end = _ENDS.get(start)
    if end is None:
        return  # another format: the decoder decides
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    # The bytes of an end marker do not occur in the picture data, but in a small preview that
    # cameras put first, so a short file is walked through.
    if size <= _TAIL or end not in file.read():
        file.seek(0)
        inspect_image(file.read())
