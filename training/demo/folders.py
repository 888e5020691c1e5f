"""Folders that are there whole or not at all, and know what they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training import whole_files

ORIGIN_FILE = 'origin.json'


@contextmanager
def whole_folder(target: Path, origin: Mapping[str, Any]) -> Iterator[Path]:
    """As `training.whole_files.whole_folder`, with a note of what the folder was made from.

    Args:
        target: where the folder shall be.
        origin: what it is made from, kept inside for is_current.

    Yields:
        A path that does not exist yet and has target's name: make the folder there.
    """
    with whole_files.whole_folder(target) as fresh:
        yield fresh
        (fresh / ORIGIN_FILE).write_text(json.dumps(dict(origin), indent=1) + '\n')


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
