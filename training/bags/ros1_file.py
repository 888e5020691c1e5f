"""Reading ROS 1 .bag files: message by message, skipping for free, as far as a damaged one goes.

The format (https://wiki.ros.org/Bags/Format/2.0) is a list of records that can be walked, so that
a recording that was never closed (.bag.active, no index) reads like all others.
"""

from __future__ import annotations

import bz2
import struct
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lz4.frame

from training.bags.mcap_records import Channel
from training.bags.raw_message import (
    BagDamageError,
    RawMessage,
    Reader,
    Topic,
    read_part,
    slice_bytes,
)
from training.bags.record_file import Found, RecordFile

MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _BAG_HEADER, _CHUNK, _CHUNK_INFO, _CONNECTION = 0x02, 0x03, 0x05, 0x06, 0x07
_KNOWN = range(0x02, 0x08)
_LENGTH = struct.Struct('<I')
_PAIR = struct.Struct('<II')
_BROKEN = (BagDamageError, struct.error, UnicodeDecodeError)
"""What reading damaged records runs into."""
_FIRST_BYTES = 4096
"""The first record is filled up to this size."""
_MOST_HEADER = 1 << 20
"""A longer header of a record is damage."""


class _Fields(dict[str, bytes]):
    """The fields of a header; one that is missing is damage."""

    def __missing__(self, name: str) -> bytes:
        raise BagDamageError(f"the header of a record lacks the field '{name}'")


class _Record(NamedTuple):
    """The fields of a record, and where its data lies; not `whole` when the file ends in it."""

    opcode: int
    fields: _Fields
    start: int
    end: int
    whole: bool


class Ros1File(RecordFile):
    """A .bag file, open for reading.

    Args:
        path: the file.

    Raises:
        BagDamageError: it does not even begin like a ROS 1 bag.

    Attributes:
        damage: what could not be read so far, one sentence each.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, MAGIC, 'a ROS 1 bag of version 2.0')
        self._connections: dict[int, tuple[str, str]] = {}
        self._end = self._size
        self._counts: Counter[int] | None = None
        self._held: dict[int, frozenset[int]] = {}
        self._read_index()

    def topics(self) -> list[Topic]:
        """The topics and their numbers of messages; walks through a file without an index."""
        if self._counts is None:
            self._counts = Counter(number for number, _, _ in self._walk(None))
        counts: Counter[tuple[str, str]] = Counter()
        for number, (name, msgtype) in self._connections.items():
            counts[name, msgtype] += self._counts[number]
        return [Topic(name, msgtype, count) for (name, msgtype), count in counts.items()]

    def channels(self) -> list[Channel]:
        """The topics; definitions of ROS 1 are nothing that a ROS 2 recording can hold."""
        kinds = dict.fromkeys(self._connections.values())
        return [Channel(name, msgtype, encoding='ros1') for name, msgtype in kinds]

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of some topics, in the order of the file."""
        for number, record_ns, read in self._walk(frozenset(topics)):
            name, msgtype = self._connections[number]
            yield RawMessage(name, msgtype, record_ns, read, ros1=True)

    def _read_index(self) -> None:
        """Take connections, counts and chunk contents from the end of the file, if it has one."""
        try:
            start = self._index_start()
        except BagDamageError as error:
            self._tell(f'{error}; what can be read is taken')
            return
        counts: Counter[int] = Counter()
        try:
            for record in _records(self._read, start, self._size):
                if record.opcode in (_CONNECTION, _CHUNK_INFO):
                    self._end = start  # there is an index, so that messages end here
                if record.opcode == _CONNECTION:
                    self._note_connection(record, self._read)
                elif record.opcode == _CHUNK_INFO:
                    data = self._read(record.start, record.end - record.start)
                    pairs = dict(_PAIR.iter_unpack(data))
                    (position,) = struct.unpack('<Q', record.fields['chunk_pos'])
                    self._held[position] = frozenset(pairs)
                    counts.update(pairs)
            if not set(counts) <= set(self._connections):
                raise BagDamageError('it counts messages of unknown topics')
            self._counts = counts
            self._chunks = sorted(self._held)
        except _BROKEN:
            self._held.clear()
            self._tell('its index is cut off or damaged; what lies before it is read without it')

    def _index_start(self) -> int:
        """Where the index begins, as the first record tells."""
        try:
            first = next(_records(self._read, len(MAGIC), self._size))
            (start,) = struct.unpack('<Q', first.fields['index_pos'])
        except (*_BROKEN, StopIteration) as error:
            self._begin += _FIRST_BYTES
            raise BagDamageError('its first record is damaged, or it ends in it') from error
        if first.opcode != _BAG_HEADER or not 0 < start < self._size:
            raise BagDamageError('it was not closed, its index is missing')
        return int(start)

    def _note_connection(self, record: _Record, read: Reader) -> None:
        fields = _fields(read(record.start, record.end - record.start))
        (number,) = _LENGTH.unpack(record.fields['conn'])
        package, _, name = fields['type'].decode().partition('/')
        self._connections[number] = (record.fields['topic'].decode(), f'{package}/msg/{name}')

    def _walk_from(
        self, start: int, topics: frozenset[str] | None
    ) -> Generator[Found, None, int | None]:
        """The messages as far as records follow one another; where to go on behind damage."""
        begin = following = start
        try:
            for record in _records(self._read, start, self._end):
                begin = following
                if record.opcode == _CHUNK:
                    held = self._held.get(begin)
                    if topics is None or held is None or self._wanted(held, topics):
                        yield from self._walk_chunk(record, topics)
                else:
                    yield from self._message(self._read, record, topics)
                following = record.end
                self._check_length(begin, record.end)
                if not record.whole:
                    raise self._cut_off(record.end)
        except _BROKEN as error:
            return self._tell_and_skip(error, begin, following)
        return None

    def _walk_chunk(self, chunk: _Record, topics: frozenset[str] | None) -> Iterator[Found]:
        try:
            read, start, end = self._open_chunk(chunk)
            for record in _records(read, start, end):
                yield from self._message(read, record, topics)
        except _BROKEN as error:
            self._tell(f'the chunk at byte {chunk.start} is lost, or its end: {error}')

    def _open_chunk(self, chunk: _Record) -> tuple[Reader, int, int]:
        """A reader for the records of a chunk, and where they begin and end in it."""
        end = min(chunk.end, self._size)
        compression = chunk.fields['compression'].decode()
        if compression == 'none':
            return self._read, chunk.start, end
        data = _unpack(compression, self._read(chunk.start, end - chunk.start))
        (size,) = _LENGTH.unpack(chunk.fields['size'])
        if chunk.whole and len(data) != size:
            raise BagDamageError('its size does not match')
        return partial(slice_bytes, data), 0, len(data)

    def _wanted(self, held: Collection[int], topics: frozenset[str]) -> bool:
        known = self._connections
        return any(number not in known or known[number][0] in topics for number in held)

    def _message(
        self, read: Reader, record: _Record, topics: frozenset[str] | None
    ) -> Iterator[Found]:
        if not record.whole:
            return
        if record.opcode == _CONNECTION:
            self._note_connection(record, read)
        elif record.opcode == _MESSAGE:
            (number,) = _LENGTH.unpack(record.fields['conn'])
            known = self._connections.get(number)
            if known and (topics is None or known[0] in topics):
                seconds, nanoseconds = _PAIR.unpack(record.fields['time'])
                record_ns = seconds * 1_000_000_000 + nanoseconds
                yield number, record_ns, partial(read_part, read, record.start, record.end)


def _records(read: Reader, start: int, end: int) -> Iterator[_Record]:
    """Walk records in [start, end); the last one may be cut off, a part of a head is left out."""
    while start + _LENGTH.size <= end:
        (length,) = _LENGTH.unpack(read(start, _LENGTH.size))
        data_start = start + 2 * _LENGTH.size + length
        if length > _MOST_HEADER:
            raise BagDamageError(f'byte {start} cannot start a record; what follows is lost')
        if data_start > end:
            raise BagDamageError(f'it is cut off at byte {end}; what followed is lost')
        head = read(start + _LENGTH.size, length + _LENGTH.size)
        fields = _fields(head[:length])
        opcode = (fields.get('op') or b'\0')[0]
        if opcode not in _KNOWN:
            raise BagDamageError(f'byte {start} cannot start a record; what follows is lost')
        (size,) = _LENGTH.unpack(head[length:])
        yield _Record(opcode, fields, data_start, data_start + size, data_start + size <= end)
        start = data_start + size


def _fields(data: bytes) -> _Fields:
    """The NAME=VALUE fields of a header."""
    fields, position = _Fields(), 0
    while position < len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        name, sign, value = data[position : position + length].partition(b'=')
        if not sign:
            raise BagDamageError('the header of a record is damaged; what follows is lost')
        fields[name.decode()] = value
        position += length
    return fields


def _unpack(compression: str, data: bytes) -> bytes:
    """Unpack a chunk; of one that is cut off, what can be unpacked."""
    unpackers = {'bz2': bz2.BZ2Decompressor, 'lz4': lz4.frame.LZ4FrameDecompressor}
    if compression not in unpackers:
        raise BagDamageError(f"compression '{compression}' is not known; expected bz2 or lz4")
    try:
        return bytes(unpackers[compression]().decompress(data))
    except (OSError, RuntimeError) as error:
        raise BagDamageError(str(error)) from error
