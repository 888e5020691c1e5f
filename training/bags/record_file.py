"""What .mcap and ROS 1's .bag have in common: records, read anywhere, and damage to tell of."""

from __future__ import annotations

import os
from pathlib import Path

from training.bags.raw_message import BagDamageError

_WINDOW_BYTES = 256
"""Read at once, as the heads of a record and of the message in it follow one another."""


class RecordFile:
    """A file that begins with a magic text and goes on with records.

    Args:
        path: the file.
        magic: its first bytes.
        kind: what such a file is called, for errors.

    Raises:
        BagDamageError: it does not even begin like such a file.

    Attributes:
        path: see above.
        damage: what could not be read so far, one sentence each.
    """

    def __init__(self, path: Path, magic: bytes, kind: str) -> None:
        self.path = path
        self.damage: list[str] = []
        self._file = path.open('rb')
        self._window, self._window_start = b'', 0
        self._size = os.fstat(self._file.fileno()).st_size
        if self._read(0, len(magic)) != magic:
            self.close()
            raise BagDamageError(
                f'{path} does not begin like {kind}; it is empty, damaged or another format'
            )

    def close(self) -> None:
        """Close the file; messages that were handed out cannot be read any more."""
        self._file.close()

    def _read(self, offset: int, size: int) -> bytes:
        if size > _WINDOW_BYTES:
            return os.pread(self._file.fileno(), size, offset)
        place = offset - self._window_start
        if place < 0 or place + size > len(self._window):
            place = 0
            self._window_start = offset
            self._window = os.pread(self._file.fileno(), _WINDOW_BYTES, offset)
        return self._window[place : place + size]

    def _cut_off(self, record_end: int) -> BagDamageError:
        missing = (record_end - self._size) / 1e6
        return BagDamageError(
            f'it is cut off at byte {self._size}, {missing:.3f} MB before the end of a record; '
            'what followed is lost'
        )

    def _tell(self, text: str) -> None:
        sentence = f'{self.path.name} is damaged: {text}'
        if sentence not in self.damage:
            self.damage.append(sentence)
