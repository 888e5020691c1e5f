"""JPEG bytes to pixels by libjpeg-turbo itself, which tells of damage.

OpenCV keeps that from its callers: a damaged JPEG comes back with a grey rest, or with that of an
older picture (opencv#26488), and libjpeg writes a line of its own to stderr. simplejpeg raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hrda_core.image_headers import ImageDecodeError, ImageHeader

Decoder = Callable[..., Any]
Pixels = npt.NDArray[np.uint8]
_DAMAGE = ('Corrupt JPEG data: ', 'Premature end of JPEG file')
_SURPLUS = re.compile(r'Corrupt JPEG data: (\d+) extraneous bytes before marker 0x(\w\w)')
_MOST_SURPLUS = 8
"""Bytes too many that are no damage, whatever they hold; damage mostly leaves more."""
_INKS = 4
"""Channels of a picture for print, CMYK."""
_LEAST_HALF = 8
"""Rows and columns [px] from which no coarser scale has as many as half size."""


def _find_decoder() -> Decoder | None:
    try:
        from simplejpeg import decode_jpeg
    except ImportError:  # OpenCV does without, as where its package of the system is all there is
        return None
    return decode_jpeg  # type: ignore[no-any-return]


_decode = _find_decoder()
TELLS_DAMAGE = _decode is not None
"""Whether damage behind the headers of a JPEG is found on this machine."""


def decode_jpeg(data: bytes | memoryview, header: ImageHeader) -> Pixels | None:
    """Decode a grey or colour JPEG of 8 bits to RGB, the same pixels as OpenCV's.

    Args:
        data: the bytes of one file.
        header: what `inspect_image` found in it.

    Returns:
        uint8 (H, W, 3), RGB, 0..255, C-contiguous and writeable; None for other kinds of JPEG
        and without simplejpeg, which are left to OpenCV.

    Raises:
        ImageDecodeError: the picture data are damaged.
    """
    return _decoded(data, header, colorspace='RGB')


def decode_half_grey(data: bytes | memoryview, header: ImageHeader) -> Pixels | None:
    """Decode a JPEG at half size without its colours, which takes half the time.

    Args:
        data: the bytes of one file.
        header: what `inspect_image` found in it.

    Returns:
        uint8 (ceil(H/2), ceil(W/2)), 0..255, as of OpenCV's IMREAD_REDUCED_GRAYSCALE_2; None as
        of `decode_jpeg`, and for pictures of a few pixels.

    Raises:
        ImageDecodeError: the picture data are damaged.
    """
    height, width = (header.height + 1) // 2, (header.width + 1) // 2
    if min(height, width) < _LEAST_HALF:
        return None
    grey = _decoded(data, header, colorspace='GRAY', min_height=height, min_width=width)
    return None if grey is None else grey[..., 0]


def _decoded(data: bytes | memoryview, header: ImageHeader, **how: Any) -> Pixels | None:
    """Decode, strictly first; arguments of simplejpeg's `decode_jpeg`."""
    if _decode is None or header.channels not in (1, 3, _INKS) or header.bits != 8:
        return None
    is_printed = header.channels == _INKS
    if is_printed:
        how |= {'colorspace': 'CMYK'}
    try:
        pixels: Pixels | None = _decode(data, **how)
    except ValueError as error:
        pixels = _decode_odd(_decode, data, str(error), how)
    return None if is_printed else pixels  # damage is told; colours of inks are left to OpenCV


def _decode_odd(
    decode: Decoder, data: bytes | memoryview, complaint: str, how: dict[str, Any]
) -> Pixels | None:
    """Decode a JPEG that libjpeg complained about, unless the complaint is damage."""
    if complaint.startswith(_DAMAGE) and not _is_padding(bytes(data), complaint):
        raise ImageDecodeError(
            f'this JPEG is damaged: {complaint.removeprefix(_DAMAGE[0])}; expected a whole file; '
            'the frame cannot be used'
        )
    try:
        pixels: Pixels = decode(data, **how, strict=False)
    except ValueError:
        return None
    return pixels


def _is_padding(data: bytes, complaint: str) -> bool:
    """Whether all that is wrong are bytes by which a camera fills its scans up."""
    surplus = _SURPLUS.fullmatch(complaint)
    if surplus is None:
        return False
    count, marker = int(surplus[1]), int(surplus[2], 16)
    end = data.rfind(bytes([0xFF, marker]))
    return count <= _MOST_SURPLUS or len(set(data[end - count : end])) == 1
