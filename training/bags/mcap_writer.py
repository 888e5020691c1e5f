"""Writing .mcap files that can be gone on with when their writer was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import yaml

from training.bags import mcap_records as mcap
from training.bags.mcap_chunk import Chunk
from training.bags.mcap_records import MAGIC, Channel
from training.bags.mcap_recovery import Kept, read_notes, recover
from training.bags.rosbag2_metadata import FileFacts, bag_information
from training.whole_files import naming, part_of

CHUNK_BYTES = 1 << 20
"""A chunk is closed at this size [bytes]."""
PACKERS = 2
"""Threads that compress chunks; what a kill loses is the chunks at work and the open one."""
NOTES = 'hrda'
"""Name of the metadata record that tells how a file was made."""
_ROSBAG2 = 'rosbag2'
_SHORT = 40
"""Characters of a value that are shown."""
_OPENING = MAGIC + mcap.header('hrda_ros')


class McapWriter:
    """Writes an .mcap file; use it with `with`, and `finish` it at the end of the block.

    Until then it lies beside its place under a hidden name, in chunks. Opened again with the same
    channels and notes, what is whole of it is kept. The same calls give the same bytes, however
    often they were interrupted.

    Args:
        path: the file.
        channels: its topics, numbered from 1.
        notes: how it is made; those called after options (--alpha) are told with their values.
        compression: of the chunks: zstd or none.

    Attributes:
        kept: what an earlier writer has left; its last sequence is where to go on.

    Raises:
        ValueError: another process is writing it, or what lies there was begun otherwise.
    """

    kept: Kept

    def __init__(
        self,
        path: Path,
        channels: Sequence[Channel],
        notes: Mapping[str, str],
        compression: str = 'zstd',
    ) -> None:
        self.path, self.part = path, part_of(path)
        self._channels, self._notes, self._compression = channels, notes, compression
        self._chunk = Chunk()
        self._packing: deque[tuple[Chunk, Future[tuple[bytes, int]]]] = deque()
        self._packers = ThreadPoolExecutor(PACKERS)

    def __enter__(self) -> McapWriter:
        """Begin, or go on."""
        with naming(self.path):
            self.part.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.part.open('a+b')
        try:
            self._lock()
            self._begin()
        except BaseException:
            self._file.close()
            raise
        self._places = list(self.kept.places)
        self._end = self.kept.end
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what is whole to be gone on with; after `finish` there is nothing left to do."""
        self._packers.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError):  # a full disk has been told of already
            self._file.close()

    def add(self, channel: int, record_ns: int, sequence: int, data: bytes) -> None:
        """Add a message to a channel, counted from 1."""
        record = mcap.message(channel, sequence, record_ns, data)
        self._chunk.add(channel, record_ns, record)

    def settle(self) -> None:
        """Close the chunk if it is large enough: what was added so far belongs together.

        Raises:
            OSError: the disk is full; what was written before is kept.
        """
        if self._chunk.size >= CHUNK_BYTES:
            self._close_chunk()

    def finish(self) -> None:
        """Write what is left and the index, and give the file its name.

        Raises:
            OSError: as of `settle`.
        """
        if self._chunk.size:
            self._close_chunk()
        while self._packing:
            self._write_chunk(*self._packing.popleft())
        counts = dict(
            zip(self._channels, mcap.total_counts(self._channels, self._places), strict=True)
        )
        # Without its name, which readers know: equal contents are equal bytes.
        facts = FileFacts('', mcap.period_ns(self._places), counts)
        about = {'serialized_metadata': yaml.safe_dump(bag_information([facts]), sort_keys=False)}
        record = mcap.metadata(_ROSBAG2, about)
        notes = mcap.metadata_index(NOTES, len(_OPENING), len(mcap.metadata(NOTES, self._notes)))
        schemas, channels = mcap.declarations(self._channels)
        groups = [
            (mcap.SCHEMA, schemas),
            (mcap.CHANNEL, channels),
            (mcap.CHUNK_INDEX, b''.join(map(mcap.chunk_index, self._places))),
            (
                mcap.METADATA_INDEX,
                notes + mcap.metadata_index(_ROSBAG2, self._end, len(record)),
            ),
            (mcap.STATISTICS, mcap.statistics(self._channels, self._places, 2)),
        ]
        self._write(record + mcap.ending(groups, self._end + len(record)))
        with naming(self.path):
            os.fsync(self._file.fileno())
            self.part.replace(self.path)

    def _lock(self) -> None:
        busy = f'another process is writing {self.path}; wait for it or choose another output'
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(busy) from error
        # The other one may have finished between opening and locking.
        opened = os.fstat(self._file.fileno())
        if not self.part.exists() or not os.path.samestat(opened, self.part.stat()):
            raise ValueError(busy)

    def _begin(self) -> None:
        head = file_head(self._channels, self._notes)
        found = os.pread(self._file.fileno(), len(head), 0)
        if len(found) < len(head) and head.startswith(found):
            self._file.truncate(0)
            self._write(head)
        elif found != head:
            raise ValueError(
                f'{self.path} was begun {unlike(self.part, self._notes)}; give the command that '
                f'it was begun with, or delete {self.part}'
            )
        self.kept = recover(self._file.fileno(), len(head))
        self._file.truncate(self.kept.end)

    def _close_chunk(self) -> None:
        """Have the chunk compressed, and write those that are ready to be, in order."""
        chunk, self._chunk = self._chunk, Chunk()
        self._packing.append((chunk, self._packers.submit(chunk.pack, self._compression)))
        while len(self._packing) > PACKERS:
            self._write_chunk(*self._packing.popleft())

    def _write_chunk(self, chunk: Chunk, packed: Future[tuple[bytes, int]]) -> None:
        data, place = chunk.placed(self._end, *packed.result(), self._compression)
        self._write(data)
        self._places.append(place)
        self._end += len(data)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise OSError(
                f'{self.path} cannot be written ({error.strerror}); make room, and the same '
                'command goes on from here'
            ) from error


def file_head(channels: Sequence[Channel], notes: Mapping[str, str]) -> bytes:
    """How a file begins that has these channels and was made so."""
    return b''.join([_OPENING, mcap.metadata(NOTES, notes), *mcap.declarations(channels)])


def is_finished(path: Path, channels: Sequence[Channel], notes: Mapping[str, str]) -> bool:
    """Whether a whole file with these channels, made so, is there already.

    Raises:
        ValueError: something else is there.
    """
    if not path.exists():
        return False
    head = file_head(channels, notes)
    with path.open('rb') as file:
        same = file.read(len(head)) == head
        file.seek(-min(len(MAGIC), file.tell()), os.SEEK_END)
        if same and file.read() == MAGIC:
            return True
    raise ValueError(
        f'{path} exists already, made {unlike(path, notes)}; delete it or choose another output'
    )


def unlike(path: Path, notes: Mapping[str, str]) -> str:
    """In words, how a file was made otherwise: `with --alpha 0.5 (now 0.2), with another x`."""
    found = read_notes(path, NOTES)
    if not found:
        return 'by something else'
    if set(found) != set(notes):
        return 'by another version'
    differing = [name for name in notes if found[name] != notes[name]]
    return ', '.join(_unlike(name, found[name], notes[name]) for name in differing) or (
        'for other topics'
    )


def _unlike(name: str, before: str, now: str) -> str:
    if not name.startswith('--'):
        return f'with another {name}'
    before, now = (f'{v[:_SHORT]}...' if len(v) > _SHORT else v for v in (before, now))
    return f'with {name} {before} (now {now})'
