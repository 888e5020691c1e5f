"""The records that an .mcap file is written with (https://mcap.dev/spec), as bytes."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX = '.mcap'
MAGIC = b'\x89MCAP0\r\n'
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
ZSTD_LEVEL = 1
"""Higher levels cost more time than they save space on label images."""
RECORD_HEAD = struct.Struct('<BQ')
MESSAGE_HEAD = struct.Struct('<HIQQ')


@dataclass(frozen=True)
class Channel:
    """A topic of a file, with all that a player or viewer wants to know of it.

    Args:
        topic: name of the topic.
        msgtype: ROS 2 name of the type.
        definition: text of the type and of all types in it; empty when unknown.
        encoding: of the definition: ros2msg or ros2idl; empty when unknown.
        qos: the publishers' profiles as rosbag2 writes them, YAML; empty when unknown.
        type_hash: RIHS01_... of REP 2016; empty when unknown.
    """

    topic: str
    msgtype: str
    definition: str = ''
    encoding: str = ''
    qos: str = ''
    type_hash: str = ''


class ChunkPlace(NamedTuple):
    """Where a chunk lies in its file and what it holds.

    `first_ns` and `last_ns` are the earliest and latest record times in it, `sizes` its bytes
    compressed and not, `indexes` where the index of each channel lies, `counts` its messages.
    """

    first_ns: int
    last_ns: int
    offset: int
    length: int
    compression: str
    sizes: tuple[int, int]
    indexes: Mapping[int, int]
    indexes_length: int
    counts: Mapping[int, int]


def record(opcode: int, *parts: bytes) -> bytes:
    """Any record."""
    body = b''.join(parts)
    return RECORD_HEAD.pack(opcode, len(body)) + body


def header(library: str) -> bytes:
    """The first record of a ROS 2 file."""
    return record(HEADER, _string('ros2'), _string(library))


def declarations(channels: Sequence[Channel]) -> tuple[bytes, bytes]:
    """Schemas and channels, numbered from 1 in the order given; each schema once."""
    schemas: dict[tuple[str, str], int] = {}
    texts, entries = [], []
    for number, channel in enumerate(channels, 1):
        key = (channel.msgtype, channel.definition)
        if key not in schemas:
            schemas[key] = len(schemas) + 1
            texts.append(
                record(
                    SCHEMA,
                    schemas[key].to_bytes(2, 'little'),
                    *map(_string, (channel.msgtype, channel.encoding, channel.definition)),
                )
            )
        about = {'offered_qos_profiles': channel.qos, 'topic_type_hash': channel.type_hash}
        entries.append(
            record(
                CHANNEL,
                struct.pack('<HH', number, schemas[key]),
                _string(channel.topic),
                _string('cdr'),
                _map({name: text for name, text in about.items() if text}),
            )
        )
    return b''.join(texts), b''.join(entries)


def message(channel: int, sequence: int, record_ns: int, data: bytes) -> bytes:
    """A message, published when it was recorded."""
    return record(MESSAGE, MESSAGE_HEAD.pack(channel, sequence, record_ns, record_ns), data)


def chunk(times: Sequence[int], records: bytes, compression: str) -> tuple[bytes, int]:
    """Message records as one chunk, and the size of its data.

    Args:
        times: record times of the messages [ns].
        records: the messages.
        compression: zstd or none.
    """
    packed = zstd.compress(records, ZSTD_LEVEL) if compression == 'zstd' else records
    head = struct.pack('<QQQI', min(times), max(times), len(records), zlib.crc32(records))
    name = _string('zstd' if compression == 'zstd' else '')
    return record(CHUNK, head, name, struct.pack('<Q', len(packed)), packed), len(packed)


def message_index(channel: int, entries: Iterable[tuple[int, int]]) -> bytes:
    """Record time [ns] and place in its chunk of each message of a channel."""
    pairs = b''.join(struct.pack('<QQ', *entry) for entry in entries)
    return record(MESSAGE_INDEX, struct.pack('<HI', channel, len(pairs)), pairs)


def chunk_index(place: ChunkPlace) -> bytes:
    """Where a chunk and its indexes lie."""
    offsets = b''.join(struct.pack('<HQ', *entry) for entry in place.indexes.items())
    return record(
        CHUNK_INDEX,
        struct.pack('<QQQQI', *place[:4], len(offsets)),
        offsets,
        struct.pack('<Q', place.indexes_length),
        _string(place.compression),
        struct.pack('<QQ', *place.sizes),
    )


def metadata(name: str, values: Mapping[str, str]) -> bytes:
    """Named texts."""
    return record(METADATA, _string(name), _map(values))


def metadata_index(name: str, offset: int, length: int) -> bytes:
    """Where a metadata record lies."""
    return record(METADATA_INDEX, struct.pack('<QQ', offset, length), _string(name))


def statistics(channels: Sequence[Channel], places: Sequence[ChunkPlace], notes: int) -> bytes:
    """How much of everything the file holds; `notes` is the number of its metadata records."""
    counts = total_counts(channels, places)
    first, last = period_ns(places)
    kinds = len({(channel.msgtype, channel.definition) for channel in channels})
    head = struct.pack('<QHIIII', sum(counts), kinds, len(channels), 0, notes, len(places))
    pairs = b''.join(struct.pack('<HQ', *pair) for pair in enumerate(counts, 1))
    return record(STATISTICS, head, struct.pack('<QQI', first, last, len(pairs)), pairs)


def total_counts(channels: Sequence[Channel], places: Sequence[ChunkPlace]) -> list[int]:
    """Messages per channel, in the order of the channels."""
    numbers = range(1, len(channels) + 1)
    return [sum(place.counts.get(number, 0) for place in places) for number in numbers]


def period_ns(places: Sequence[ChunkPlace]) -> tuple[int, int]:
    """Earliest and latest record time [ns]; zeros without messages."""
    first = min((place.first_ns for place in places), default=0)
    return first, max((place.last_ns for place in places), default=0)


def ending(groups: Sequence[tuple[int, bytes]], start: int) -> bytes:
    """The end of a file: end of data, summary, its offsets, footer.

    Args:
        groups: opcode and records of each kind that the summary holds.
        start: where the end will lie in the file.
    """
    end_of_data = record(DATA_END, bytes(4))
    position = summary_start = start + len(end_of_data)
    offsets = []
    for opcode, records in groups:
        if records:
            place = struct.pack('<BQQ', opcode, position, len(records))
            offsets.append(record(SUMMARY_OFFSET, place))
        position += len(records)
    footer = record(FOOTER, struct.pack('<QQI', summary_start, position, 0))
    summary = b''.join(records for _, records in groups)
    return b''.join([end_of_data, summary, *offsets, footer, MAGIC])


def uint32_at(body: bytes, position: int) -> int:
    """A number of four bytes."""
    return int.from_bytes(body[position : position + 4], 'little')


def string_at(body: bytes, position: int) -> tuple[str, int]:
    """A length-prefixed string and where it ends."""
    end = position + 4 + uint32_at(body, position)
    return body[position + 4 : end].decode(), end


def map_at(body: bytes, position: int) -> dict[str, str]:
    """A map of strings."""
    values = {}
    end = min(position + 4 + uint32_at(body, position), len(body))
    position += 4
    while position < end:
        name, position = string_at(body, position)
        values[name], position = string_at(body, position)
    return values


def _string(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, 'little') + data


def _map(values: Mapping[str, str]) -> bytes:
    body = b''.join(_string(name) + _string(text) for name, text in values.items())
    return len(body).to_bytes(4, 'little') + body
