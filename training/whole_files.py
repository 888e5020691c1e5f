"""Files and folders that appear under their names only when whole, and what they hold."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

ENCODINGS = {'.png': 'PNG', '.jpg': 'JPEG'}


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = part_of(path)
    temporary.write_bytes(content)
    temporary.replace(path)


def write_picture(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a .png or .jpg whole or not at all.

    Shape:
        picture: uint8 (H, W, 3) RGB or (H, W).
    """
    content = io.BytesIO()
    Image.fromarray(picture).save(content, ENCODINGS[path.suffix])
    write_bytes(path, content.getvalue())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Fill a folder that appears at target only when the block ends without an error.

    What an earlier, interrupted block left is cleared away; a folder at target is replaced.

    Yields:
        A path that does not exist yet and has target's name: make the folder there.
    """
    target = target.absolute()
    part = part_of(target)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        fresh = part / target.name
        yield fresh
        if target.exists():
            target.rename(part / 'replaced')
        fresh.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def part_of(path: Path) -> Path:
    """The temporary name of what is being written; hidden, in the same folder."""
    return path.with_name(f'.{path.name}.part')
