"""One message as it lies in a bag: its beginning can be read without the rest."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HEAD_BYTES = 12
"""Encapsulation header (4), seconds (4) and nanoseconds (4) of a message with a std Header."""
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_SECOND_NS = 1_000_000_000
Reader = Callable[[int, int], bytes]
"""Gives up to `size` bytes from `offset`: reader(offset, size)."""


class BagDamageError(ValueError):
    """Bytes of a bag that cannot be read: what, where and what to do."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: `count` is the number of its messages that can be expected."""

    name: str
    msgtype: str
    count: int


class RawMessage(NamedTuple):
    """A message that is read when asked for.

    Args:
        topic: name of the topic.
        msgtype: ROS 2 name of the type, such as sensor_msgs/msg/Image.
        record_ns: when it was recorded [ns since the epoch].
        read: gives its first bytes as stored, or all of them (None).
        ros1: whether it is serialised as ROS 1 does it, else as CDR.
    """

    topic: str
    msgtype: str
    record_ns: int
    read: Callable[[int | None], bytes]
    ros1: bool = False

    def head(self) -> bytes:
        """The first `HEAD_BYTES` bytes of the data, at the least cost there is."""
        start = self.read(HEAD_BYTES)
        if self.ros1 or not start.startswith(_ZSTD_MAGIC):
            return start
        try:
            return zstd.ZstdDecompressor().decompress(self.read(None), HEAD_BYTES)
        except zstd.ZstdError as error:
            raise _damaged(self, error) from error

    def data(self) -> bytes:
        """The whole data; a message that was compressed on its own is unpacked."""
        data = self.read(None)
        if self.ros1 or not data.startswith(_ZSTD_MAGIC):  # CDR starts with a zero byte
            return data
        try:
            return zstd.decompress(data)
        except zstd.ZstdError as error:
            raise _damaged(self, error) from error

    def header_stamp_ns(self) -> int:
        """The stamp of the std_msgs/Header that the message begins with [ns]; 0 when not set."""
        head = self.head()
        if len(head) < HEAD_BYTES:
            raise _damaged(self, 'it is too short for a header')
        if self.ros1:  # a sequence number comes first
            seconds, nanoseconds = struct.unpack_from('<II', head, 4)
            return int(seconds * _SECOND_NS + nanoseconds)
        # The lowest bit of the second byte is set for little endian (OMG DDSI-RTPS 10.2).
        seconds, nanoseconds = struct.unpack_from('<iI' if head[1] & 1 else '>iI', head, 4)
        stamp: int = seconds * _SECOND_NS + nanoseconds
        return stamp if stamp > 0 else 0


def read_part(read: Reader, start: int, end: int, size: int | None) -> bytes:
    """The bytes in [start, end) of what a reader reads, or only the first `size` of them."""
    return read(start, end - start if size is None else min(size, end - start))


def slice_bytes(data: bytes, start: int, size: int) -> bytes:
    """A reader of bytes in memory, with its first argument bound."""
    return data[start : start + size]


def unpacked_blocks(source: IO[bytes]) -> Iterator[bytes]:
    """The content of a zstd file, block by block, as far as it can be read.

    Raises:
        BagDamageError: what follows the last block cannot be read.
    """
    unpacker = zstd.ZstdDecompressor()
    try:
        while block := source.read(1 << 20):
            while block:
                if unpacker.eof:  # a file may be several frames one after the other
                    unpacker = zstd.ZstdDecompressor()
                yield unpacker.decompress(block)
                block = unpacker.unused_data
    except zstd.ZstdError as error:
        raise BagDamageError(f'the compressed data is damaged ({error})') from error
    except OSError as error:
        raise BagDamageError(f'it cannot be read on ({error.strerror})') from error
    if not unpacker.eof:
        raise BagDamageError('the compressed data is cut off')


def _damaged(message: RawMessage, reason: object) -> BagDamageError:
    return BagDamageError(
        f'the message on {message.topic} recorded at {message.record_ns} ns cannot be read: '
        f'{reason}; leave it out or copy the bag again'
    )
