"""What JPEG and PNG bytes say about themselves, and whether they are whole, without decoding."""

from __future__ import annotations

import struct
import zlib
from typing import Any, NamedTuple

import numpy as np

MAX_PIXELS = 100_000_000
"""Largest accepted picture (height x width); a header above it is a mistake or an attack."""

_JPEG_MAGIC = b'\xff\xd8\xff'
_PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
_JPEG_END = b'\xff\xd9'
_STANDALONE = frozenset([0x01, *range(0xD0, 0xD8)])
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN_START = 0xDA
_FIRST_MARKER = 0xC0  # the ones below are reserved and appear only in damaged files
_LONG = frozenset(range(_FIRST_MARKER, 0xFF)) - _STANDALONE - {_JPEG_END[1]}
"""Markers that a length and so many bytes follow."""
_SEGMENT_HEAD = struct.Struct('>BBH')
_BLOCK = 1 << 20
"""Bytes of a scan that are searched at once: mostly all. Other threads are let in after each."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


class ImageDecodeError(ValueError):
    """An image that cannot be decoded: what it holds, what was expected and what to do."""


class ImageHeader(NamedTuple):
    """Sizes read from the first bytes of a picture file.

    `codec` is 'jpeg' or 'png', `height` and `width` are pixels, `channels` is 1..4 as stored
    (a PNG palette counts as 3) and `bits` is the depth of one sample (1..16).
    """

    codec: str
    height: int
    width: int
    channels: int
    bits: int


def inspect_image(data: bytes | memoryview) -> ImageHeader:
    """Read the sizes of a JPEG or PNG file and check that the file is whole.

    A JPEG must hold a frame header, a scan, an end marker after it and nothing that cannot stand
    in a scan; every PNG chunk must match its checksum. That costs far less than decoding
    and finds truncated files and most holes; a few bytes of noise in a JPEG are found by
    decoding alone, see `hrda_core.jpeg`.

    Args:
        data: the bytes of one picture file, or a view of them.

    Returns:
        The header; `height * width` is at most `MAX_PIXELS`.

    Raises:
        ImageDecodeError: other formats, truncated or damaged files, absurd sizes.
    """
    if data[: len(_JPEG_MAGIC)] == _JPEG_MAGIC:
        header = _inspect_jpeg(data)
    elif data[: len(_PNG_MAGIC)] == _PNG_MAGIC:
        header = _inspect_png(data)
    else:
        raise ImageDecodeError(
            f'{len(data)} bytes that start with {data[:4].hex(" ") or "nothing"} are neither a '
            'JPEG (ff d8 ff) nor a PNG (89 50 4e 47); check what the camera driver publishes'
        )
    check_size(header.height, header.width)
    return header


def check_size(height: int, width: int) -> None:
    """Raise ImageDecodeError unless `height` x `width` pixels are a picture of sane size."""
    if height <= 0 or width <= 0 or height * width > MAX_PIXELS:
        raise ImageDecodeError(
            f'the image claims {width}x{height} pixels; expected at least 1x1 and at most '
            f'{MAX_PIXELS // 1_000_000} million in all; the message is damaged or not an image'
        )


def _inspect_jpeg(data: bytes | memoryview) -> ImageHeader:
    """Walk the JPEG segments up to the end marker (ITU T.81 annex B)."""
    header: ImageHeader | None = None
    scans = 0
    marker, start, end = _next_segment(data, 2)
    while marker != _JPEG_END[1]:
        if marker in _FRAME_STARTS:
            header = _jpeg_frame(data[start:end])
        elif marker == _SCAN_START:
            scans += 1
            end = _scan_end(data, end)
        marker, start, end = _next_segment(data, end)
    if header is None or not scans:
        raise _damaged('JPEG', 'it ends before any picture data')
    return header


def _next_segment(data: bytes | memoryview, position: int) -> tuple[int, int, int]:
    """The marker at a place, and where what belongs to it starts and ends."""
    size = len(data)
    if position + _SEGMENT_HEAD.size <= size:  # nearly all are read in this one step
        fill, marker, length = _SEGMENT_HEAD.unpack_from(data, position)
        end = position + 2 + length
        if fill == 0xFF and marker in _LONG and length >= 2 and end <= size:
            return marker, position + _SEGMENT_HEAD.size, end
    marker, position = _next_marker(data, position)
    if marker not in _LONG:
        return marker, position, position
    length = int.from_bytes(data[position : position + 2], 'big')
    if length < 2 or position + length > size:
        raise _damaged('JPEG', f'it is cut off or damaged in the segment at byte {position}')
    return marker, position + 2, position + length


def _next_marker(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """The marker at a place, which bytes of 0xff may fill up, and where it ends."""
    if data[position : position + 1] not in (b'\xff', b''):
        raise _damaged('JPEG', f'byte {position} is {data[position]:#04x} where a marker belongs')
    while data[position : position + 1] == b'\xff':
        position += 1
    if position >= len(data):
        raise _damaged('JPEG', f'it is cut off after {len(data)} bytes, before its end marker')
    marker = data[position]
    if marker < _FIRST_MARKER and marker not in _STANDALONE:
        raise _damaged('JPEG', f'the marker {marker:#04x} at byte {position} is not one')
    return marker, position + 1


def _jpeg_frame(segment: bytes | memoryview) -> ImageHeader:
    if len(segment) < 6:
        raise _damaged('JPEG', 'its frame header is too short')
    bits, height, width, channels = struct.unpack_from('>BHHB', segment)
    return ImageHeader('jpeg', height, width, channels, bits)


def _scan_end(data: bytes | memoryview, position: int) -> int:
    """Return where the first marker after the entropy-coded data at `position` starts."""
    for start in range(position, len(data) - 1, _BLOCK):
        block = np.frombuffer(data, np.uint8, min(_BLOCK + 1, len(data) - start), start)
        # 1 where a 0xff is followed by something, as 0 stands for a 0xff among the data. The first
        # marker is mostly the one that is sought: to find it costs half of listing all places.
        markers = (block[:-1] == 0xFF).view(np.uint8)
        markers = np.minimum(markers, block[1:], out=markers).view(np.bool_)
        first = int(markers.argmax())
        if not markers[first]:
            continue
        if _ends_scan(int(block[first + 1])):
            return start + first
        places = np.flatnonzero(markers)
        ends = places[_ends_scan(block[places + 1])]
        if ends.size:
            return start + int(ends[0])
    raise _damaged('JPEG', f'it is cut off after {len(data)} bytes, before its end marker')


def _ends_scan(after: Any) -> Any:
    """Which bytes behind a 0xff are not those that restart the decoder; elementwise."""
    return (after < 0xD0) | (after > 0xD7)


def _inspect_png(data: bytes | memoryview) -> ImageHeader:
    """Walk the PNG chunks, checking every checksum (PNG specification, section 5)."""
    header: ImageHeader | None = None
    position = len(_PNG_MAGIC)
    kind: bytes | memoryview = b''
    while kind != b'IEND':
        length = int.from_bytes(data[position : position + 4], 'big')
        end = position + 12 + length
        if end > len(data):
            raise _damaged('PNG', f'it is cut off after {len(data)} bytes')
        kind = data[position + 4 : position + 8]
        checksum = int.from_bytes(data[end - 4 : end], 'big')
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            raise _damaged('PNG', f'the checksum of the chunk at byte {position} does not match')
        if kind == b'IHDR':
            width, height, bits, colour = struct.unpack_from('>IIBB', data, position + 8)
            header = ImageHeader('png', height, width, _PNG_CHANNELS.get(colour, 0), bits)
        position = end
    if header is None:
        raise _damaged('PNG', 'it has no header chunk')
    return header


def _damaged(codec: str, reason: str) -> ImageDecodeError:
    return ImageDecodeError(
        f'this {codec} is damaged: {reason}; expected a whole file; the frame cannot be used'
    )
