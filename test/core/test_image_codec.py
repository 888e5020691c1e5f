"""The image decoder against plain numpy references: encodings, padding, byte order, damage."""

from __future__ import annotations

import array
import re
import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.image_codec import (
    ENCODINGS,
    ImageDecodeError,
    decode_bytes,
    decode_compressed,
    decode_image,
)
from hrda_core.image_headers import _scan_end

SCAN_PARTS = (b'\xff\x00', b'\xff\xd0', b'\xff', b'\xd9', b'\x01')
FAST = settings(max_examples=25, deadline=None)
sizes = st.tuples(st.integers(1, 17), st.integers(1, 17))
seeds = st.integers(0, 2**32 - 1)
paddings = st.integers(0, 9)


def message(pixels, encoding, padding=0, big=False, **changes):
    """Lay out (H, W, C) samples as sensor_msgs/Image does, padding bytes filled with 0xAB."""
    pixels = np.asarray(pixels)
    height, width = pixels.shape[:2]
    order = pixels.dtype.newbyteorder('>' if big else '<')
    rows = np.ascontiguousarray(pixels.astype(order)).reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    fields = {
        'height': height,
        'width': width,
        'encoding': encoding,
        'is_bigendian': int(big),
        'step': rows.shape[1],
        'data': rows.tobytes(),
    }
    return SimpleNamespace(**{**fields, **changes})


def scaled(samples):
    return np.round(samples.astype(np.float64) / 257).astype(np.uint8)


def yuv_to_rgb(y, u, v):
    y, u, v = (np.asarray(x, np.float64) for x in (y, u, v))
    y, u, v = 1.164383 * np.maximum(y - 16, 0), u - 128, v - 128
    rgb = np.stack([y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u], -1)
    return np.clip(np.round(rgb), 0, 255)


def assert_close(found, expected, tolerance):
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= tolerance


COLOURS = {
    'rgb8': (np.uint8, 3, lambda x: x),
    'bgr8': (np.uint8, 3, lambda x: x[..., ::-1]),
    '8UC3': (np.uint8, 3, lambda x: x[..., ::-1]),
    'rgba8': (np.uint8, 4, lambda x: x[..., :3]),
    'bgra8': (np.uint8, 4, lambda x: x[..., 2::-1]),
    'mono8': (np.uint8, 1, lambda x: np.repeat(x, 3, -1)),
    '8UC1': (np.uint8, 1, lambda x: np.repeat(x, 3, -1)),
    'mono16': (np.uint16, 1, lambda x: np.repeat(scaled(x), 3, -1)),
    '16UC1': (np.uint16, 1, lambda x: np.repeat(scaled(x), 3, -1)),
    'rgb16': (np.uint16, 3, scaled),
    'bgr16': (np.uint16, 3, lambda x: scaled(x)[..., ::-1]),
}


@pytest.mark.parametrize('encoding', COLOURS)
@FAST
@given(size=sizes, seed=seeds, padding=paddings, big=st.booleans())
def test_packed_encodings_equal_the_numpy_reference(encoding, size, seed, padding, big):
    dtype, channels, reference = COLOURS[encoding]
    limit = np.iinfo(dtype).max + 1
    pixels = np.random.default_rng(seed).integers(0, limit, (*size, channels), dtype)
    found = decode_image(message(pixels, encoding, padding, big))
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, reference(pixels))


ORDERS = {'uyvy': (1, 3, 0, 2), 'yuyv': (0, 2, 1, 3)}
YUV422 = {'yuv422': 'uyvy', 'uyvy': 'uyvy', 'yuv422_yuy2': 'yuyv', 'yuyv': 'yuyv'}


@pytest.mark.parametrize('encoding', YUV422)
@FAST
@given(size=sizes, seed=seeds, padding=paddings)
def test_yuv422_equals_the_numpy_reference(encoding, size, seed, padding):
    height, pairs = size
    quads = np.random.default_rng(seed).integers(0, 256, (height, pairs, 4), np.uint8)
    found = decode_image(message(quads.reshape(height, 2 * pairs, 2), encoding, padding))
    y0, y1, u, v = (quads[..., i] for i in ORDERS[YUV422[encoding]])
    luma = np.stack([y0, y1], -1).reshape(height, -1)
    expected = yuv_to_rgb(luma, np.repeat(u, 2, 1), np.repeat(v, 2, 1))
    assert_close(found, expected, 1)


@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
@FAST
@given(size=sizes, seed=seeds, padding=paddings)
def test_nv12_and_nv21_equal_the_numpy_reference(encoding, size, seed, padding):
    rng = np.random.default_rng(seed)
    height, width = 2 * size[0], 2 * size[1]
    luma = rng.integers(0, 256, (height, width), np.uint8)
    chroma = rng.integers(0, 256, (height // 2, width // 2, 2), np.uint8)
    planes = np.concatenate([luma, chroma.reshape(height // 2, width)])
    found = decode_image(message(planes, encoding, padding, height=height))
    u, v = (chroma if encoding == 'nv12' else chroma[..., ::-1]).transpose(2, 0, 1)
    u, v = (np.kron(x, np.ones((2, 2), np.uint8)) for x in (u, v))
    assert_close(found, yuv_to_rgb(luma, u, v), 1)


@FAST
@given(size=sizes, seed=seeds, padding=paddings)
def test_nv24_equals_the_numpy_reference(size, seed, padding):
    rng = np.random.default_rng(seed)
    height, width = size
    luma = rng.integers(0, 256, (height, width), np.uint8)
    chroma = rng.integers(0, 256, (height, width, 2), np.uint8)
    padded = message(luma, 'nv24', padding)
    chroma_rows = np.pad(chroma.reshape(height, -1), ((0, 0), (0, 2 * padding)))
    padded.data += chroma_rows.tobytes()
    assert_close(decode_image(padded), yuv_to_rgb(luma, chroma[..., 0], chroma[..., 1]), 1)


def test_nv12_with_the_step_of_all_planes():
    planes = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4)
    usual = decode_image(message(planes, 'nv12', height=4))
    np.testing.assert_array_equal(decode_image(message(planes, 'nv12', height=4, step=6)), usual)


def mosaic_to_rgb(mosaic, pattern):
    """Average the neighbours of the same colour, inside the border (bilinear demosaicing)."""
    height, width = mosaic.shape
    grid = np.array([['rgb'.index(c) for c in pattern[:2]], ['rgb'.index(c) for c in pattern[2:]]])
    colour = np.tile(grid, (height // 2 + 1, width // 2 + 1))[:height, :width]
    out = np.zeros((height - 2, width - 2, 3))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            around = np.s_[y - 1 : y + 2, x - 1 : x + 2]
            block, kinds = mosaic[around], colour[around]
            for c in range(3):
                own = kinds[1, 1] == c
                cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
                nearest = kinds == c if c != 1 else (kinds == 1) & cross
                out[y - 1, x - 1, c] = mosaic[y, x] if own else block[nearest].mean()
    return out


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@settings(max_examples=8, deadline=None)
@given(
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    seed=seeds,
    padding=paddings,
    big=st.booleans(),
    bits=st.sampled_from([8, 16]),
)
def test_bayer_equals_the_numpy_reference(pattern, size, seed, padding, big, bits):
    dtype = np.uint8 if bits == 8 else np.uint16
    mosaic = np.random.default_rng(seed).integers(0, 2**bits, size, dtype)
    found = decode_image(message(mosaic[..., None], f'bayer_{pattern}{bits}', padding, big))
    expected = mosaic_to_rgb(mosaic.astype(float), pattern) / (1 if bits == 8 else 257)
    assert found.shape == (*size, 3)
    assert_close(found[1:-1, 1:-1], np.round(expected), 1)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_of_a_plain_colour_gives_that_colour(pattern):
    values = {'r': 200, 'g': 90, 'b': 10}
    block = np.array([values[c] for c in pattern], np.uint8).reshape(2, 2)
    found = decode_image(message(np.tile(block, (4, 5)), f'bayer_{pattern}8'))
    np.testing.assert_array_equal(found, np.broadcast_to([200, 90, 10], (8, 10, 3)))


def as_array(data):
    return array.array('B', data)


def as_ndarray(data):
    return np.frombuffer(data, np.uint8)


@pytest.mark.parametrize('wrap', [bytes, bytearray, memoryview, as_array, as_ndarray])
def test_every_kind_of_buffer_is_read(wrap):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    msg = message(pixels, 'bgr8', padding=3)
    msg.data = wrap(msg.data)
    np.testing.assert_array_equal(decode_image(msg), pixels[..., ::-1])


def test_tight_rgb8_is_a_view():
    data = array.array('B', range(24))
    msg = message(np.zeros((2, 4, 3), np.uint8), 'rgb8', data=data)
    assert np.shares_memory(decode_image(msg), np.frombuffer(data, np.uint8))


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'height': 0}, '4x0'),
        ({'width': 0}, '0x2'),
        ({'width': 2**31, 'height': 2**31}, 'million'),
        ({'step': 11}, 'at least 12'),
        ({'step': 0}, 'at least 12'),
        ({'step': 2**31}, 'cut off'),
        ({'data': b''}, 'cut off'),
        ({'data': bytes(23)}, 'expected 24'),
        ({'data': [1, 2, 3]}, 'list'),
        ({'encoding': '32FC1'}, '32FC1'),
        ({'encoding': ''}, 'expected one of'),
        ({'encoding': 'yuyv', 'width': 3}, 'even'),
        ({'encoding': 'nv12', 'width': 3}, 'even'),
        ({'encoding': 'nv12'}, 'cut off'),
        ({'encoding': 'bayer_rggb8'}, '3x3'),
    ],
)
def test_wrong_messages_are_refused_with_a_reason(changes, words):
    length = 8 if changes.get('encoding') == 'nv12' else 24
    step = 4 if changes.get('encoding') == 'nv12' else 12
    fields = {'step': step, 'data': bytes(length), **changes}
    msg = message(np.zeros((2, 4, 3), np.uint8), 'rgb8')
    with pytest.raises(ImageDecodeError, match=words):
        decode_image(SimpleNamespace(**{**vars(msg), **fields}))


@FAST
@given(
    encoding=st.sampled_from([*ENCODINGS, 'unknown']),
    height=st.integers(-1, 9),
    width=st.integers(-1, 9),
    step=st.integers(-1, 40),
    data=st.binary(max_size=400),
)
def test_any_message_gives_an_image_or_the_one_error(encoding, height, width, step, data):
    msg = message(
        np.zeros((1, 1, 3), np.uint8), encoding, height=height, width=width, step=step, data=data
    )
    try:
        assert decode_image(msg).shape == (height, width, 3)
    except ImageDecodeError as error:
        assert len(str(error)) > 40


def picture(height=24, width=40, channels=3, dtype=np.uint8):
    ramp = np.linspace(0, np.iinfo(dtype).max, height * width * channels)
    return ramp.reshape(height, width, channels).astype(dtype)


def encoded(pixels_rgb, suffix):
    pixels = pixels_rgb[..., ::-1] if pixels_rgb.shape[-1] == 3 else pixels_rgb
    return cv2.imencode(suffix, np.ascontiguousarray(pixels))[1].tobytes()


def compressed(data, text='jpeg'):
    return SimpleNamespace(format=text, data=data)


@pytest.mark.parametrize(
    ('text', 'suffix', 'tolerance'),
    [
        ('jpeg', '.jpg', 12),
        ('bgr8; jpeg compressed bgr8', '.jpg', 12),
        ('rgb8; jpeg compressed bgr8', '.jpg', 12),
        ('', '.jpg', 12),
        ('png', '.png', 0),
        ('rgb8; png compressed bgr8', '.png', 0),
    ],
)
def test_compressed_colour(text, suffix, tolerance):
    pixels = picture()
    found = decode_compressed(compressed(encoded(pixels, suffix), text))
    assert_close(found, pixels, tolerance)


def test_grey_jpeg_becomes_rgb():
    pixels = picture(channels=1)
    found = decode_compressed(compressed(encoded(pixels, '.jpg'), 'mono8; jpeg compressed '))
    assert_close(found, np.repeat(pixels, 3, -1), 6)


def test_grey_png_becomes_rgb():
    pixels = picture(channels=1)
    found = decode_compressed(compressed(encoded(pixels, '.png'), 'mono8; png compressed '))
    np.testing.assert_array_equal(found, np.repeat(pixels, 3, -1))


@pytest.mark.parametrize('channels', [1, 3])
def test_sixteen_bit_png_is_scaled(channels):
    pixels = picture(channels=channels, dtype=np.uint16)
    found = decode_bytes(encoded(pixels, '.png'))
    np.testing.assert_array_equal(found, np.broadcast_to(scaled(pixels), found.shape))


def test_alpha_is_dropped():
    pixels = picture(channels=4)
    np.testing.assert_array_equal(decode_bytes(encoded(pixels, '.png')), pixels[..., 2::-1])


def test_exif_orientation_is_ignored():
    data = encoded(picture(), '.jpg')
    tiff = b'MM\x00\x2a\x00\x00\x00\x08' + struct.pack('>HHHIHHI', 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b'\xff\xe1' + struct.pack('>H', len(tiff) + 8) + b'Exif\x00\x00' + tiff
    turned = data[:2] + exif + data[2:]
    np.testing.assert_array_equal(decode_bytes(turned), decode_bytes(data))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 0.999))
def test_truncated_pictures_are_refused(suffix, cut):
    data = encoded(picture(), suffix)
    with pytest.raises(ImageDecodeError):
        decode_bytes(data[: int(cut * len(data))])


def test_garbage_inside_a_jpeg_is_found():
    data = bytearray(encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), 'u1'), '.jpg'))
    data[2000:4000] = np.random.default_rng(1).bytes(2000)
    with pytest.raises(ImageDecodeError, match='damaged'):
        decode_bytes(bytes(data))


@settings(max_examples=60, deadline=None)
@given(
    before=st.integers(0, 9),
    parts=st.lists(st.sampled_from(SCAN_PARTS), max_size=30),
    fill=st.sampled_from([0, 1, 7, 262135, 262140, 262143, 262144, 524287]),
)
def test_the_end_of_a_scan_is_its_first_marker(before, parts, fill):
    """Also where it lies across the blocks that are searched at once."""
    data = bytes(before + fill) + b''.join(parts)
    expected = re.search(rb'\xff[^\x00\xd0-\xd7]', data[before:], re.DOTALL)
    if expected is None:
        with pytest.raises(ImageDecodeError, match='cut off'):
            _scan_end(data, before)
    else:
        assert _scan_end(data, before) == before + expected.start()


def test_bytes_after_the_end_of_a_jpeg_are_allowed():
    data = encoded(picture(), '.jpg')
    assert decode_bytes(data + bytes(100)).shape == (24, 40, 3)


def test_a_png_bomb_is_refused_before_decoding():
    def chunk(kind, body):
        checksum = struct.pack('>I', zlib.crc32(kind + body))
        return struct.pack('>I', len(body)) + kind + body + checksum

    header = struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IEND', b'')
    with pytest.raises(ImageDecodeError, match='60000x60000'):
        decode_bytes(data)


@pytest.mark.parametrize(
    'text', ['16UC1; compressedDepth', 'h264', 'ffmpeg', 'theora', 'bgr8; compressedDepth png']
)
def test_video_and_depth_are_refused_with_a_remedy(text):
    with pytest.raises(ImageDecodeError, match='expected jpeg or png'):
        decode_compressed(compressed(encoded(picture(), '.png'), text))


@pytest.mark.parametrize('data', [b'', b'RIFF....WEBP', b'\xff\xd8\xff', b'not an image at all'])
def test_other_bytes_are_refused(data):
    with pytest.raises(ImageDecodeError):
        decode_compressed(compressed(data))


@FAST
@given(position=st.floats(0, 1), noise=st.binary(min_size=1, max_size=30))
def test_damaged_jpegs_never_crash(position, noise):
    data = bytearray(encoded(picture(), '.jpg'))
    start = int(position * len(data))
    data[start : start + len(noise)] = noise
    try:
        assert decode_bytes(bytes(data)).ndim == 3
    except ImageDecodeError as error:
        assert len(str(error)) > 40
