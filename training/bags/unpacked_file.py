"""Storage files that were compressed as a whole, unpacked to a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from training.bags.raw_message import BagDamageError, unpacked_blocks
from training.scratch import ScratchFolder


class UnpackedFile:
    """The plain copy of a packed file, as far as that can be unpacked.

    Args:
        packed: the .zstd file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: there is no room for the copy, which is no damage of the recording.

    Attributes:
        packed: as given.
        path: the copy.
        problem: why it is not all of the file; empty when it is.
    """

    def __init__(self, packed: Path) -> None:
        self.packed = packed
        self.problem = ''
        with packed.open('rb') as source:
            with _told(packed):
                self._folder = ScratchFolder('bag')
            self.path = self._folder.path / packed.stem
            try:
                with _told(packed):
                    self._copy(source)
            except ValueError:
                self.delete()
                raise

    def _copy(self, source: IO[bytes]) -> None:
        with self.path.open('wb') as target:
            try:
                for block in unpacked_blocks(source):
                    target.write(block)
            except BagDamageError as error:
                self.problem = str(error)

    def sentence(self, error: Exception) -> str:
        """Why nothing of the copy can be read, said of the packed file, which the user has."""
        if self.problem:
            return f'{self.packed}: nothing of what could be unpacked can be read'
        return str(error).replace(str(self.path), f'{self.packed}, unpacked,')

    def delete(self) -> None:
        """Delete the copy."""
        self._folder.close()


@contextmanager
def _told(packed: Path) -> Iterator[None]:
    """Have the want of room told as what it is."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f'{packed} cannot be unpacked to {tempfile.gettempdir()} ({error.strerror}); make '
            'room there, or name another folder in TMPDIR'
        ) from error
