"""What can be kept of an .mcap file whose writer was killed, to go on with it."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from training.bags import mcap_records as mcap
from training.bags.mcap_file import Record, open_chunk, walk_records
from training.bags.mcap_records import ChunkPlace
from training.bags.raw_message import BagDamageError, Reader


class Kept(NamedTuple):
    """The whole chunks of a file: `end` is where the next one begins.

    `sequence` is that of the last message, -1 without any; `times` are the record times [ns] of
    each channel's messages in order.
    """

    places: list[ChunkPlace]
    end: int
    sequence: int
    times: dict[int, list[int]]


class _Group(NamedTuple):
    """A chunk and the message indexes behind it, as they lie in the file."""

    chunk: Record
    indexes: list[Record]

    @property
    def end(self) -> int:
        return (self.indexes[-1] if self.indexes else self.chunk).end


def recover(descriptor: int, start: int) -> Kept:
    """Find the whole chunks of a file that `McapWriter` began.

    Args:
        descriptor: of the open file.
        start: where its first chunk begins.
    """
    read = partial(_pread, descriptor)
    size = os.fstat(descriptor).st_size
    groups = list(_groups(read, start, size))
    sequence = -1
    # What is followed by another chunk was whole before that was begun.
    while groups and sequence < 0:
        sequence = _last_sequence(read, groups[-1], size)
        if sequence < 0:
            groups.pop()
    times: dict[int, list[int]] = {}
    for group in groups:
        for index in group.indexes:
            channel, entries = _entries(read, index)
            times.setdefault(channel, []).extend(time for time, _ in entries)
    end = groups[-1].end if groups else start
    return Kept([_place(read, group) for group in groups], end, sequence, times)


def read_notes(path: Path, name: str) -> dict[str, str]:
    """The first metadata record of a name in an .mcap file; empty where there is none."""
    with path.open('rb') as file:
        read = partial(_pread, file.fileno())
        size = os.fstat(file.fileno()).st_size
        try:
            for record in walk_records(read, len(mcap.MAGIC), size):
                if record.opcode == mcap.METADATA:
                    body = read(record.start, _size(record))
                    found, position = mcap.string_at(body, 0)
                    if found == name:
                        return mcap.map_at(body, position)
                elif record.opcode in (mcap.CHUNK, mcap.MESSAGE):
                    break
        except (BagDamageError, struct.error, UnicodeDecodeError):
            pass
    return {}


def _pread(descriptor: int, offset: int, size: int) -> bytes:
    return os.pread(descriptor, size, offset)


def _size(record: Record) -> int:
    return record.end - record.start


def _groups(read: Reader, start: int, size: int) -> Iterator[_Group]:
    group: _Group | None = None
    try:
        for record in walk_records(read, start, size):
            if record.whole and record.opcode == mcap.CHUNK:
                if group:
                    yield group
                group = _Group(record, [])
            elif record.whole and record.opcode == mcap.MESSAGE_INDEX and group:
                group.indexes.append(record)
            else:
                break
    except (BagDamageError, struct.error):
        pass  # whatever a failing disk left behind the last chunk
    if group:
        yield group


def _last_sequence(read: Reader, group: _Group, size: int) -> int:
    """Sequence of the last message of a chunk; -1 where chunk or indexes are not whole."""
    found: dict[int, list[tuple[int, int]]] = {}
    sequence = -1
    try:
        inner, start, end = open_chunk(read, group.chunk, size)
        _, _, length, checksum = struct.unpack('<QQQI', read(group.chunk.start, 28))
        if end - start != length or zlib.crc32(inner(start, length)) != checksum:
            return -1
        for record in walk_records(inner, start, end):
            head = inner(record.start, mcap.MESSAGE_HEAD.size)
            channel, sequence, time, _ = mcap.MESSAGE_HEAD.unpack(head)
            place = record.start - mcap.RECORD_HEAD.size - start
            found.setdefault(channel, []).append((time, place))
    except (BagDamageError, struct.error, UnicodeDecodeError):
        return -1
    return sequence if found == dict(_entries(read, index) for index in group.indexes) else -1


def _entries(read: Reader, index: Record) -> tuple[int, list[tuple[int, int]]]:
    body = read(index.start, _size(index))
    (channel,) = struct.unpack_from('<H', body)
    return channel, list(struct.iter_unpack('<QQ', body[6:]))


def _place(read: Reader, group: _Group) -> ChunkPlace:
    chunk = group.chunk
    first, last, length, _, name = struct.unpack('<QQQII', read(chunk.start, 32))
    compression = read(chunk.start + 32, name).decode()
    (packed,) = struct.unpack('<Q', read(chunk.start + 32 + name, 8))
    offset = chunk.start - mcap.RECORD_HEAD.size
    entries = [(_entries(read, i), i.start - mcap.RECORD_HEAD.size) for i in group.indexes]
    return ChunkPlace(
        first,
        last,
        offset,
        chunk.end - offset,
        compression,
        (packed, length),
        {channel: place for (channel, _), place in entries},
        group.end - chunk.end,
        {channel: len(found) for (channel, found), _ in entries},
    )
