"""Files that appear under their names only when they are whole, and what they hold."""

from __future__ import annotations

import hashlib
import io
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


def part_of(path: Path) -> Path:
    """The temporary name of a file that is being written; hidden, in the same folder."""
    return path.with_name(f'.{path.name}.part')
