"""Files and folders that appear under their names only when whole, and what they hold."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

MAKE_ROOM = 'make room there, or name another place, and give the command again'
"""The remedy for a full disk."""
ENCODINGS = {'.png': 'PNG', '.jpg': 'JPEG'}


def named_path(text: str, option: str) -> Path:
    """The path that an option names, with ~ for the user's own folder.

    Raises:
        ValueError: it names none.
    """
    if not text.strip():
        raise ValueError(f'{option} is empty; name a file or folder')
    return Path(text).expanduser()


def check_writable(path: str | Path | None, *, folder: bool = False) -> None:
    """Refuse a file or folder that cannot be written, before the work whose result it is to hold.

    Folders that are missing are not made; that it can be done is tried in the nearest one that
    is there, with a file that has no name.

    Args:
        path: what will be written, as the user named it; None where nothing will be.
        folder: whether it will be a folder with files in it.

    Raises:
        ValueError: it is something else already, or its folder cannot be written to.
    """
    if path is None:
        return
    path = Path(path)
    try:
        if folder and path.exists() and not path.is_dir():
            raise ValueError(f'{path} is a file; name a folder to write to')
        if not folder and path.is_dir():
            raise ValueError(f'{path} is a folder; name a file to write')
        if not folder and path.exists() and not path.is_file():
            raise ValueError(f'{path} is a device or a pipe; name a file to write')
        above = path if folder else path.parent
        place = next(place for place in (above, *above.absolute().parents) if place.exists())
        _try(path, place)
    except OSError as error:
        raise ValueError(
            f'{path} cannot be written ({error.strerror}); name another place'
        ) from error


def _try(path: Path, place: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ValueError(
            f'{path} cannot be written: no file can be made in {place} ({error.strerror}); name '
            'another place'
        ) from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors of the system name a path as the user did, not the temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = part_of(path)
    with naming(path):
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


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
    with naming(target):
        part.mkdir(parents=True)
    try:
        fresh = part / target.name
        yield fresh
        with naming(target):
            if target.exists():
                target.rename(part / 'replaced')
            fresh.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def part_of(path: Path) -> Path:
    """The temporary name of what is being written; hidden, in the same folder."""
    return path.with_name(f'.{path.name}.part')
