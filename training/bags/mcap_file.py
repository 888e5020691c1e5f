"""Reading .mcap files: message by message, skipping for free, and as far as a damaged one goes.

rosbags reads whole chunks and refuses a file without its end (a recorder that was killed, a full
disk); the format itself (https://mcap.dev/spec) is a list of records that can be walked.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lz4.frame

from training.bags import mcap_records as mcap
from training.bags.mcap_records import (
    MAGIC,
    MESSAGE_HEAD,
    RECORD_HEAD,
    Channel,
    map_at,
    string_at,
    uint32_at,
)
from training.bags.raw_message import (
    BagDamageError,
    RawMessage,
    Reader,
    Topic,
    read_part,
    slice_bytes,
)
from training.bags.record_file import Found, RecordFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_KNOWN = range(0x01, 0x10)
_FOOTER_BYTES = 20
_END_BYTES = RECORD_HEAD.size + _FOOTER_BYTES + len(MAGIC)


class Record(NamedTuple):
    """Where the body of a record lies; `whole` is false when the file ends inside it."""

    opcode: int
    start: int
    end: int
    whole: bool


class McapFile(RecordFile):
    """An .mcap file, open for reading.

    Args:
        path: the file.

    Raises:
        BagDamageError: it does not even begin like an .mcap file.

    Attributes:
        damage: what could not be read so far, one sentence each.
        period_ns: earliest and latest record time [ns]; zeros without a summary.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, MAGIC, 'an .mcap file')
        self.period_ns = (0, 0)
        self._channels: dict[int, Channel] = {}
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._counts: Counter[int] | None = None
        self._chunk_channels: dict[int, frozenset[int]] = {}
        self._complete = True
        self._read_summary()

    def topics(self) -> list[Topic]:
        """The topics and their numbers of messages; walks through a file without a summary."""
        if self._counts is None:
            self._counts = Counter(number for number, _, _ in self._walk(None))
        counts = self._counts
        return [
            Topic(channel.topic, channel.msgtype, counts[number])
            for number, channel in sorted(self._channels.items())
        ]

    def channels(self) -> list[Channel]:
        """What the file says of its topics, as far as `topics` or a walk have met them."""
        return [channel for _, channel in sorted(self._channels.items())]

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of some topics, in the order of the file (that is the recorded one)."""
        for number, record_ns, read in self._walk(frozenset(topics)):
            channel = self._channels[number]
            yield RawMessage(channel.topic, channel.msgtype, record_ns, read)

    def _read_summary(self) -> None:
        """Take channels, counts and chunk contents from the end of the file, if it has one."""
        end = self._read(max(0, self._size - _END_BYTES), _END_BYTES)
        if not end.endswith(MAGIC) or end[0] != mcap.FOOTER or len(end) < _END_BYTES:
            self._complete = False
            return
        (start,) = struct.unpack_from('<Q', end, RECORD_HEAD.size)
        if not start:
            return
        try:
            for record in walk_records(self._read, start, self._size):
                if record.opcode in (mcap.SCHEMA, mcap.CHANNEL, mcap.CHUNK_INDEX, mcap.STATISTICS):
                    self._note(record.opcode, self._read(record.start, record.end - record.start))
        except (BagDamageError, struct.error, UnicodeDecodeError):
            self._complete = False
            self._counts = None
            self._chunk_channels.clear()
        self._chunks = sorted(self._chunk_channels)
        if not set(self._counts or ()) <= {n for n, c in self._channels.items() if c.msgtype}:
            self._counts = None  # a summary need not repeat channels and schemas

    def _note(self, opcode: int, body: bytes) -> None:
        """Remember a record that describes others."""
        if opcode == mcap.SCHEMA:
            name, position = string_at(body, 2)
            encoding, position = string_at(body, position)
            self._schemas[_uint16(body, 0)] = (name, encoding, string_at(body, position)[0])
        elif opcode == mcap.CHANNEL:
            self._note_channel(body)
        elif opcode == mcap.STATISTICS:
            pairs = struct.iter_unpack('<HQ', body[46 : 46 + uint32_at(body, 42)])
            self._counts = Counter(dict(pairs))
            self.period_ns = struct.unpack_from('<QQ', body, 26)
        elif opcode == mcap.CHUNK_INDEX:
            pairs = struct.iter_unpack('<HQ', body[36 : 36 + uint32_at(body, 32)])
            (chunk_start,) = struct.unpack_from('<Q', body, 16)
            self._chunk_channels[chunk_start] = frozenset(number for number, _ in pairs)

    def _note_channel(self, body: bytes) -> None:
        topic, position = string_at(body, 4)
        encoding, position = string_at(body, position)
        about = map_at(body, position)
        name, language, definition = self._schemas.get(_uint16(body, 2), ('', '', ''))
        self._channels[_uint16(body, 0)] = Channel(
            topic,
            name if encoding == 'cdr' else f'{name} ({encoding})',
            definition,
            language,
            about.get('offered_qos_profiles', ''),
            about.get('topic_type_hash', ''),
        )

    def _walk_from(
        self, start: int, topics: frozenset[str] | None
    ) -> Generator[Found, None, int | None]:
        """The messages as far as records follow one another; where to go on behind damage."""
        begin = following = start
        try:
            for record in walk_records(self._read, start, self._size):
                begin, following = record.start, record.end
                is_listed = begin - RECORD_HEAD.size in self._chunk_channels
                if is_listed and record.opcode != mcap.CHUNK:
                    raise BagDamageError(f'the chunk at byte {begin} is damaged')
                if record.opcode == mcap.DATA_END:
                    if not self._complete:
                        self._tell('its index is cut off or damaged; no message before it is lost')
                    return None
                if record.opcode == mcap.CHUNK:
                    yield from self._walk_chunk(record, topics)
                elif found := self._message(self._read, record, topics):
                    yield found
                self._check_length(begin, record.end)
                if not record.whole:
                    raise self._cut_off(record.end)
            raise BagDamageError(
                f'it ends without an end mark at byte {self._size}; what followed is lost'
            )
        except (BagDamageError, struct.error, UnicodeDecodeError) as error:
            return self._tell_and_skip(error, begin, following)

    def _walk_chunk(self, chunk: Record, topics: frozenset[str] | None) -> Iterator[Found]:
        held = self._chunk_channels.get(chunk.start - RECORD_HEAD.size)
        if topics is not None and held and not self._wanted(held, topics):
            return
        try:
            read, start, end = open_chunk(self._read, chunk, self._size)
            for record in walk_records(read, start, end):
                if found := self._message(read, record, topics):
                    yield found
        except (BagDamageError, struct.error, UnicodeDecodeError) as error:
            self._tell(f'the chunk at byte {chunk.start} is lost, or its end: {error}')

    def _wanted(self, held: Collection[int], topics: frozenset[str]) -> bool:
        return any(n not in self._channels or self._channels[n].topic in topics for n in held)

    def _message(
        self, read: Reader, record: Record, topics: frozenset[str] | None
    ) -> Found | None:
        """The message in a record, if it is one of `topics`; what tells of topics is noted."""
        opcode, start, end, whole = record
        if opcode != mcap.MESSAGE or not whole:
            if opcode in (mcap.SCHEMA, mcap.CHANNEL) and whole:
                self._note(opcode, read(start, end - start))
            return None
        number, _, record_ns, _ = MESSAGE_HEAD.unpack(read(start, MESSAGE_HEAD.size))
        channel = self._channels.get(number)
        if not channel or (topics is not None and channel.topic not in topics):
            return None
        return number, record_ns, partial(read_part, read, start + MESSAGE_HEAD.size, end)


def open_chunk(read: Reader, chunk: Record, size: int) -> tuple[Reader, int, int]:
    """A reader for the records of a chunk, and where they begin and end in it.

    Args:
        read: reads the file.
        chunk: the record of the chunk.
        size: of the file [bytes].

    Raises:
        BagDamageError: it cannot be unpacked.
    """
    head = read(chunk.start, 64)
    compression, position = string_at(head, 28)
    start, end = chunk.start + position + 8, min(chunk.end, size)
    if not compression:
        return read, start, end
    data = _unpack(compression, read(start, end - start), head, chunk.whole)
    return partial(slice_bytes, data), 0, len(data)


def walk_records(read: Reader, start: int, end: int) -> Iterator[Record]:
    """Walk records in [start, end); the last one may be cut off, a part of a head is left out."""
    size = RECORD_HEAD.size
    while (body := start + size) <= end:
        opcode, length = RECORD_HEAD.unpack(read(start, size))
        if opcode not in _KNOWN and opcode < 0x80:
            raise BagDamageError(
                f'byte {start} cannot start a record (it is {opcode:#04x}); what follows is lost'
            )
        start = body + length
        yield Record(opcode, body, start, start <= end)


def _unpack(compression: str, data: bytes, head: bytes, whole: bool) -> bytes:
    """Unpack a chunk; of one that is cut off, what can be unpacked."""
    unpackers = {'zstd': zstd.ZstdDecompressor, 'lz4': lz4.frame.LZ4FrameDecompressor}
    if compression not in unpackers:
        raise BagDamageError(f"compression '{compression}' is not known; expected zstd or lz4")
    try:
        unpacked: bytes = unpackers[compression]().decompress(data)
    except (zstd.ZstdError, RuntimeError) as error:
        raise BagDamageError(str(error)) from error
    size, checksum = struct.unpack_from('<QI', head, 16)
    if whole and (len(unpacked) != size or (checksum and zlib.crc32(unpacked) != checksum)):
        raise BagDamageError('its size or checksum does not match')
    return unpacked


def _uint16(body: bytes, position: int) -> int:
    return int.from_bytes(body[position : position + 2], 'little')
