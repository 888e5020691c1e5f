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

Rgb = npt.NDArray[np.uint8]
_DAMAGE = ('Corrupt JPEG data: ', 'Premature end of JPEG file')
_SURPLUS = re.compile(r'Corrupt JPEG data: (\d+) extraneous bytes before marker 0x(\w\w)')
_MOST_SURPLUS = 8
"""Bytes too many that are no damage, whatever they hold; damage mostly leaves more."""


def _find_decoder() -> Callable[..., Any] | None:
    try:
        from simplejpeg import decode_jpeg
    except ImportError:  # OpenCV does without, as where its package of the system is all there is
        return None
    return decode_jpeg  # type: ignore[no-any-return]


_decode = _find_decoder()
TELLS_DAMAGE = _decode is not None
"""Whether damage behind the headers of a JPEG is found on this machine."""


def decode_jpeg(data: bytes, header: ImageHeader) -> Rgb | None:
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
    if _decode is None or header.channels not in (1, 3) or header.bits != 8:
        return None
    try:
        rgb: Rgb = _decode(data, 'RGB')
    except ValueError as error:
        return _decode_odd(data, str(error))
    return rgb


def _decode_odd(data: bytes, complaint: str) -> Rgb | None:
    """Decode a JPEG that libjpeg complained about, unless the complaint is damage."""
    assert _decode is not None
    if complaint.startswith(_DAMAGE) and not _is_padding(data, complaint):
        raise ImageDecodeError(
            f'this JPEG is damaged: {complaint.removeprefix(_DAMAGE[0])}; expected a whole file, '
            'so leave the frame out'
        )
    try:
        rgb: Rgb = _decode(data, 'RGB', strict=False)
    except ValueError:
        return None
    return rgb


def _is_padding(data: bytes, complaint: str) -> bool:
    """Whether all that is wrong are bytes by which a camera fills its scans up."""
    surplus = _SURPLUS.fullmatch(complaint)
    if surplus is None:
        return False
    count, marker = int(surplus[1]), int(surplus[2], 16)
    end = data.rfind(bytes([0xFF, marker]))
    return count <= _MOST_SURPLUS or len(set(data[end - count : end])) == 1
