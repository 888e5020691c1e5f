"""Folders that are there whole or not at all, and know what they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ORIGIN_FILE = 'origin.json'


@contextmanager
def whole_folder(target: Path, origin: Mapping[str, Any]) -> Iterator[Path]:
    """Fill a folder that appears at target only when the block ends without an error.

    What an earlier, interrupted block left is cleared away; a folder at target is replaced.

    Args:
        target: where the folder shall be.
        origin: what it is made from, kept inside for is_current.

    Yields:
        A path that does not exist yet and has target's name: make the folder there.
    """
    target = target.absolute()
    part = target.with_name(f'.{target.name}.part')
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        fresh = part / target.name
        yield fresh
        (fresh / ORIGIN_FILE).write_text(json.dumps(dict(origin), indent=1) + '\n')
        if target.exists():
            target.rename(part / 'replaced')
        fresh.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def is_current(folder: Path, origin: Mapping[str, Any]) -> bool:
    """Whether a folder was finished, and made from exactly this."""
    try:
        return bool(json.loads((folder / ORIGIN_FILE).read_text()) == dict(origin))
    except (OSError, ValueError):
        return False


def source_digest(*places: Path) -> str:
    """A short digest of source files (folders: their .py files), to notice that they changed."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.glob('*.py')) if place.is_dir() else [place]:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
