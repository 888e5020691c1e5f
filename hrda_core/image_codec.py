"""Image messages and compressed bytes to RGB arrays: the one decoder of node and bag reader.

It needs no ROS: anything with the fields of sensor_msgs/Image or sensor_msgs/CompressedImage
will do (rclpy messages, rosbags dataclasses, plain objects).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from hrda_core.image_headers import MAX_PIXELS, ImageDecodeError, check_size, inspect_image
from hrda_core.jpeg import decode_jpeg

__all__ = [
    'ENCODINGS',
    'MAX_PIXELS',
    'CompressedMessage',
    'ImageDecodeError',
    'ImageMessage',
    'check_image',
    'decode_bytes',
    'decode_compressed',
    'decode_image',
]

Rgb = npt.NDArray[np.uint8]


class ImageMessage(Protocol):
    """The fields of sensor_msgs/Image that are read."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedMessage(Protocol):
    """The fields of sensor_msgs/CompressedImage that are read."""

    format: str
    data: Any


class _Packed(NamedTuple):
    """Pixels side by side: samples per pixel, bytes per sample, OpenCV conversion to RGB."""

    channels: int
    sample_bytes: int
    conversion: int | None


# OpenCV names a mosaic after the second and third pixel of its second row, ROS after the
# first four pixels: RGGB begins R G R G / G B G B, so OpenCV calls it BG.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_PACKED = {
    'rgb8': _Packed(3, 1, None),
    'rgb16': _Packed(3, 2, None),
    'bgr8': _Packed(3, 1, cv2.COLOR_BGR2RGB),
    'bgr16': _Packed(3, 2, cv2.COLOR_BGR2RGB),
    '8uc3': _Packed(3, 1, cv2.COLOR_BGR2RGB),
    'rgba8': _Packed(4, 1, cv2.COLOR_RGBA2RGB),
    'bgra8': _Packed(4, 1, cv2.COLOR_BGRA2RGB),
    'mono8': _Packed(1, 1, cv2.COLOR_GRAY2RGB),
    '8uc1': _Packed(1, 1, cv2.COLOR_GRAY2RGB),
    'mono16': _Packed(1, 2, cv2.COLOR_GRAY2RGB),
    '16uc1': _Packed(1, 2, cv2.COLOR_GRAY2RGB),
    'yuv422': _Packed(2, 1, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': _Packed(2, 1, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': _Packed(2, 1, cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': _Packed(2, 1, cv2.COLOR_YUV2RGB_YUY2),
    **{f'bayer_{name}8': _Packed(1, 1, code) for name, code in _BAYER.items()},
    **{f'bayer_{name}16': _Packed(1, 2, code) for name, code in _BAYER.items()},
}
# Full size luma, then one plane of chroma pairs: bytes of the whole per luma byte.
_PLANAR = {'nv12': 1.5, 'nv21': 1.5, 'nv24': 3.0}
ENCODINGS = (*_PACKED, *_PLANAR)
"""Encodings that `decode_image` takes, in lower case (matched without regard to case)."""

# BT.601, studio range (luma 16..235): the matrix that OpenCV uses for the other YUV encodings.
_YUV_TO_RGB = np.array(
    [
        [1.164, 0.0, 1.596, -16 * 1.164 - 128 * 1.596],
        [1.164, -0.391, -0.813, -16 * 1.164 + 128 * (0.391 + 0.813)],
        [1.164, 2.018, 0.0, -16 * 1.164 - 128 * 2.018],
    ]
)
_REFUSED = {
    'compresseddepth': 'it is a depth map, not a camera image: choose the colour topic',
    'h264': 'a video stream',
    'h265': 'a video stream',
    'hevc': 'a video stream',
    'av1': 'a video stream',
    'ffmpeg': 'a video stream',
    'theora': 'a video stream',
}
REPUBLISH = (
    'its frames cannot be read one by one: republish it first, e.g. with '
    '`ros2 run image_transport republish`, and use the raw or jpeg topic'
)
"""What to do about video streams."""


def decode_image(msg: ImageMessage) -> Rgb:
    """Decode one sensor_msgs/Image to 8-bit RGB.

    8UC3 is taken as BGR (OpenCV's order), 16-bit samples are scaled by 255/65535, YUV is BT.601
    studio range, Bayer mosaics are interpolated linearly. Rows may be padded (`step`).

    Args:
        msg: a message, or any object with its fields; `data` may be bytes, bytearray, memoryview,
            array.array or a numpy array.

    Returns:
        uint8 (H, W, 3), RGB, 0..255, C-contiguous. For tightly packed rgb8 it is a view of
        `msg.data` (no copy) and read-only where that is: copy it before writing into it.

    Raises:
        ImageDecodeError: unknown encoding, absurd sizes, a step or data length that do not fit.
    """
    encoding = str(msg.encoding).strip().lower()
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if encoding not in _PACKED and encoding not in _PLANAR:
        raise ImageDecodeError(
            f"image encoding '{msg.encoding}' is not known; expected one of "
            f'{", ".join(ENCODINGS)}; have the camera driver publish one of these'
        )
    check_size(height, width)
    data = _as_bytes(msg.data)
    if encoding in _PLANAR:
        return _decode_planar(data, encoding, height, width, step)
    packed = _PACKED[encoding]
    _check_pattern(encoding, height, width)
    samples = _samples(data, packed, height, width, step, bool(msg.is_bigendian), msg.encoding)
    rgb = samples if packed.conversion is None else cv2.cvtColor(samples, packed.conversion)
    return _eight_bits(rgb)


def check_image(msg: ImageMessage) -> None:
    """Check a message of one of the packed encodings without decoding it.

    Raises:
        ImageDecodeError: as `decode_image`.
    """
    encoding = str(msg.encoding).strip().lower()
    packed = _PACKED[encoding]
    height, width = int(msg.height), int(msg.width)
    check_size(height, width)
    row_bytes = width * packed.channels * packed.sample_bytes
    _rows(_as_bytes(msg.data), height, row_bytes, int(msg.step), encoding)


def decode_compressed(msg: CompressedMessage) -> Rgb:
    """Decode one sensor_msgs/CompressedImage (JPEG or PNG) to 8-bit RGB.

    The bytes decide between JPEG and PNG; `format` ('jpeg', 'bgr8; jpeg compressed bgr8', ...)
    is only used to refuse what is neither.

    Args:
        msg: a message, or any object with its fields.

    Returns:
        uint8 (H, W, 3), RGB, 0..255, C-contiguous and writeable.

    Raises:
        ImageDecodeError: depth maps and video, other formats, damaged data, absurd sizes.
    """
    check_format(str(msg.format))
    return decode_bytes(_as_bytes(msg.data).tobytes())


@lru_cache(maxsize=16)
def check_format(text: str) -> None:
    """Raise ImageDecodeError when a CompressedImage `format` cannot hold a JPEG or PNG picture."""
    small = text.lower()
    for word, reason in _REFUSED.items():
        if word in small:
            remedy = REPUBLISH if reason == 'a video stream' else 'or decode it yourself'
            raise ImageDecodeError(
                f"compressed format '{text}' ({word}) is not supported, {reason}; expected jpeg "
                f'or png; {remedy}'
            )


def decode_bytes(data: bytes | memoryview) -> Rgb:
    """Decode the bytes of a JPEG or PNG file to 8-bit RGB.

    Grey becomes RGB, alpha is dropped, 16-bit samples are scaled by 255/65535 and an EXIF
    orientation is ignored: rows and columns stay those of the sensor.

    Args:
        data: the bytes of one file.

    Returns:
        uint8 (H, W, 3), RGB, 0..255, C-contiguous and writeable.

    Raises:
        ImageDecodeError: other formats, truncated or damaged files, more than `MAX_PIXELS`.
    """
    data = bytes(data)
    header = inspect_image(data)
    rgb = decode_jpeg(data, header) if header.codec == 'jpeg' else None
    if rgb is not None:
        return rgb
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    if header.bits == 16:
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageDecodeError(f'OpenCV cannot decode this {header.codec}: {error}') from error
    if bgr is None or bgr.shape[:2] != (header.height, header.width):
        raise ImageDecodeError(
            f'this {header.codec} of {header.width}x{header.height} pixels cannot be decoded; '
            'expected an undamaged file; the frame cannot be used'
        )
    return _eight_bits(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _as_bytes(data: Any) -> Rgb:
    """View any bytes-like message field as uint8 (N,), without copying."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    try:
        view = memoryview(data)
    except TypeError as error:
        raise ImageDecodeError(
            f'image data is a {type(data).__name__}; expected bytes, bytearray, memoryview, '
            'array.array or a numpy array; convert it with bytes(...)'
        ) from error
    return np.frombuffer(view if view.c_contiguous else view.tobytes(), np.uint8)


def _check_pattern(encoding: str, height: int, width: int) -> None:
    """Check that the picture is large enough for the colour pattern of its encoding."""
    if encoding in ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv') and width % 2:
        raise ImageDecodeError(
            f"encoding '{encoding}' with {width} columns; expected an even number, because two "
            'pixels share their colour; crop the image in the camera driver'
        )
    if encoding.startswith('bayer') and min(height, width) < 3:
        raise ImageDecodeError(
            f"encoding '{encoding}' with {width}x{height} pixels; expected at least 3x3; use mono8"
        )


def _samples(
    data: Rgb, packed: _Packed, height: int, width: int, step: int, big: bool, encoding: str
) -> npt.NDArray[Any]:
    """Cut the row padding off: (H, W, C), or (H, W) for one channel, in native byte order."""
    row_bytes = width * packed.channels * packed.sample_bytes
    rows = _rows(data, height, row_bytes, step, encoding)
    if packed.sample_bytes == 2:
        order = '>u2' if big else '<u2'
        rows = np.require(np.ascontiguousarray(rows).view(order), '=u2', ['C', 'A'])
    shape = (height, width) if packed.channels == 1 else (height, width, packed.channels)
    return np.ascontiguousarray(rows.reshape(shape))


def _rows(data: Rgb, height: int, row_bytes: int, step: int, encoding: str) -> npt.NDArray[Any]:
    """View the first height * step bytes as (height, row_bytes), leaving the padding out."""
    if step < row_bytes:
        raise ImageDecodeError(
            f"step is {step} bytes; expected at least {row_bytes} for this width of '{encoding}'; "
            'the publisher must set step to the bytes of one row, padding included'
        )
    if data.size < height * step:
        raise ImageDecodeError(
            f'image data is {data.size} bytes; expected {height * step} ({height} rows of '
            f'{step} bytes); the message is cut off or its height or step is wrong'
        )
    return data[: height * step].reshape(height, step)[:, :row_bytes]


def _decode_planar(data: Rgb, encoding: str, height: int, width: int, step: int) -> Rgb:
    """Decode luma plane and interleaved chroma plane (nv12 and nv21: 2x2 blocks share chroma)."""
    if encoding != 'nv24' and (width % 2 or height % 2):
        raise ImageDecodeError(
            f"encoding '{encoding}' with {width}x{height} pixels; expected even numbers, because "
            'four pixels share their colour; crop the image in the camera driver'
        )
    whole = math.ceil(width * _PLANAR[encoding])
    if step == whole and data.size == height * step:
        step = width  # some publishers count the bytes of all planes as one row
    luma = np.ascontiguousarray(_rows(data, height, width, step, encoding))
    rest = data[height * step :]
    if encoding == 'nv24':
        chroma = _rows(rest, height, 2 * width, 2 * step, encoding).reshape(height, width, 2)
        # luma below black is black, as in OpenCV's own conversions
        rgb: Rgb = cv2.transform(np.dstack([np.maximum(luma, 16), chroma]), _YUV_TO_RGB)
        return rgb
    pairs = _rows(rest, height // 2, width, step, encoding).reshape(height // 2, width // 2, 2)
    code = cv2.COLOR_YUV2RGB_NV12 if encoding == 'nv12' else cv2.COLOR_YUV2RGB_NV21
    rgb = cv2.cvtColorTwoPlane(luma, np.ascontiguousarray(pairs), code)
    return rgb


def _eight_bits(image: npt.NDArray[Any]) -> Rgb:
    """Scale 16-bit samples to 0..255; 8-bit ones pass unchanged."""
    if image.dtype == np.uint8:
        return image
    scaled: Rgb = cv2.convertScaleAbs(image, alpha=255 / 65535)
    return scaled
