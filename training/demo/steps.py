"""Steps of the demo that are done once: again only when what they are made from changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from training.whole_files import write_text


class Steps:
    """Remembers from what each step was begun and finished.

    Args:
        file: JSON file, written after every change, whole or not at all.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._known: dict[str, dict[str, object]] = json.loads(file.read_text())
        except (OSError, ValueError):
            self._known = {}

    def once(self, name: str, inputs: str, output: Path, work: Callable[[bool], None]) -> bool:
        """Do a step unless it was finished with the same inputs and its output is still there.

        Args:
            name: of the step.
            inputs: fingerprint of everything it depends on.
            output: file or folder that it makes.
            work: does it; told whether an interrupted try with the same inputs went before.

        Returns:
            Whether there was something to do.
        """
        before = self._known.get(name, {})
        begun = before.get('inputs') == inputs
        if begun and before.get('finished') and output.exists():
            return False
        self._write(name, inputs, finished=False)
        work(begun)
        self._write(name, inputs, finished=True)
        return True

    def _write(self, name: str, inputs: str, *, finished: bool) -> None:
        self._known[name] = {'inputs': inputs, 'finished': finished}
        write_text(self._file, json.dumps(self._known, indent=1))


def fingerprint(*parts: object) -> str:
    """A short digest of values and of the contents of files (parts that are a Path)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return digest.hexdigest()[:16]
