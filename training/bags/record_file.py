"""What .mcap and ROS 1's .bag have in common: records, read anywhere, and damage to tell of."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from training.bags.raw_message import BagDamageError

Found = tuple[int, int, Callable[[int | None], bytes]]
"""A message: number of its connection or channel, record time [ns], reader."""
_WINDOW_BYTES = 256
"""Read at once, as the heads of a record and of the message in it follow one another."""
_LIKELY_BYTES = 1 << 32
"""A record that lacks more than this at the end of a file never was that long."""


class RecordFile(ABC):
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
        self._begin = len(magic)
        self._chunks: list[int] = []  # where those begin that the index lists, in order
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

    @abstractmethod
    def _walk_from(
        self, start: int, topics: frozenset[str] | None
    ) -> Generator[Found, None, int | None]:
        """The messages as far as records follow one another; where to go on behind damage."""

    def _walk(self, topics: frozenset[str] | None) -> Iterator[Found]:
        """All messages of `topics` (None: of all)."""
        start: int | None = self._begin
        while start is not None:
            start = yield from self._walk_from(start, topics)

    def _read(self, offset: int, size: int) -> bytes:
        if size > _WINDOW_BYTES:
            return self._read_much(offset, size)
        place = offset - self._window_start
        if place < 0 or place + size > len(self._window):
            place = 0
            self._window_start = offset
            self._window = os.pread(self._file.fileno(), _WINDOW_BYTES, offset)
        return self._window[place : place + size]

    def _read_much(self, offset: int, size: int) -> bytes:
        # A damaged length may be anything; what is asked for is set aside before it is read.
        size = max(0, min(size, self._size - offset))
        try:
            return os.pread(self._file.fileno(), size, offset)
        except MemoryError as error:
            raise BagDamageError(
                f'byte {offset} begins a record of {size / 1e9:.1f} GB, which memory cannot hold'
            ) from error

    def _cut_off(self, record_end: int) -> BagDamageError:
        missing = record_end - self._size
        if not 0 < missing < _LIKELY_BYTES:
            return BagDamageError(
                f'a record claims to end at byte {record_end} of a file of {self._size}; what '
                'followed is lost'
            )
        return BagDamageError(
            f'it is cut off at byte {self._size}, {missing / 1e6:.3f} MB before the end of a '
            'record; what followed is lost'
        )

    def _check_length(self, start: int, end: int) -> None:
        """Raise BagDamageError for a record that reaches over the beginning of another chunk."""
        number = bisect_right(self._chunks, start)
        if number < len(self._chunks) and self._chunks[number] < end:
            raise BagDamageError(f'the length of the record at byte {start} is damaged')

    def _tell_and_skip(self, error: Exception, last: int, failed: int) -> int | None:
        """Tell of damage, and say where to go on.

        Args:
            error: the damage.
            last: where the last record begins that could be read, though perhaps not its length.
            failed: where the next one should begin.

        Returns:
            Where the next chunk begins; None without any.
        """
        left = self._chunks[bisect_right(self._chunks, last) :]
        following = next((start for start in left if start != failed), None)
        until = '' if following is None else f', up to the chunk at byte {following}'
        # Of others, which Python raises, nobody else knows the words.
        what = error if isinstance(error, BagDamageError) else f'the record at byte {last} is none'
        self._tell(f'{what}{until}')
        return following

    def _tell(self, text: str) -> None:
        sentence = f'{self.path.name} is damaged: {text}'
        if sentence not in self.damage:
            self.damage.append(sentence)
