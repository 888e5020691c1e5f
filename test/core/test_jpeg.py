"""JPEGs: the same pixels as OpenCV's, and damage that is found and not told on stderr."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import hrda_core.jpeg
from hrda_core.image_codec import decode_bytes
from hrda_core.image_headers import ImageDecodeError, inspect_image
from hrda_core.jpeg import decode_half_grey

pytest.importorskip('simplejpeg', reason='without it, OpenCV decodes and keeps damage to itself')
SAMPLINGS = (0x111111, 0x211111, 0x221111)


def jpeg(height: int = 48, width: int = 80, *options: int) -> bytes:
    pixels = np.random.default_rng(height + width).integers(0, 256, (height, width, 3), 'u1')
    return bytes(cv2.imencode('.jpg', cv2.blur(pixels, (3, 3)), options)[1])


def by_opencv(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    sampling=st.sampled_from(SAMPLINGS),
    progressive=st.booleans(),
)
def test_pixels_are_those_of_opencv(height, width, sampling, progressive):
    data = jpeg(
        height,
        width,
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling),
        *(cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)),
    )
    found = decode_bytes(data)
    np.testing.assert_array_equal(found, by_opencv(data))
    assert found.flags.writeable and found.flags.c_contiguous


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60), sampling=st.sampled_from(SAMPLINGS))
def test_half_size_in_grey_is_that_of_opencv(height, width, sampling):
    data = jpeg(height, width, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    found = decode_half_grey(data, inspect_image(data))
    if min(height, width) < 15:
        assert found is None
    else:
        flag = cv2.IMREAD_REDUCED_GRAYSCALE_2
        np.testing.assert_array_equal(found, cv2.imdecode(np.frombuffer(data, np.uint8), flag))


def test_a_grey_one_becomes_rgb():
    data = bytes(cv2.imencode('.jpg', np.arange(64, dtype=np.uint8).reshape(8, 8))[1])
    np.testing.assert_array_equal(decode_bytes(data), by_opencv(data))


def test_lost_picture_data_are_damage_and_not_told_on_stderr(capfd):
    data = jpeg()
    with pytest.raises(ImageDecodeError, match='damaged: premature end of data segment; expected'):
        decode_bytes(data[: len(data) // 2] + data[-2:])
    assert capfd.readouterr().err == ''


def printed() -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (48, 80, 4), 'u1')
    Image.fromarray(cv2.blur(pixels, (3, 3)), 'CMYK').save(file, 'JPEG')
    return file.getvalue()


def test_inks_become_rgb_as_opencv_has_them():
    np.testing.assert_array_equal(decode_bytes(printed()), by_opencv(printed()))


@pytest.mark.parametrize('decode', [decode_bytes, lambda d: decode_half_grey(d, inspect_image(d))])
def test_lost_picture_data_of_inks_are_damage(decode):
    data = printed()
    with pytest.raises(ImageDecodeError, match='damaged: premature end of data segment; expected'):
        decode(data[: len(data) // 2] + data[-2:])


def test_what_damage_leaves_over_is_damage():
    data = jpeg()
    surplus = data[-300:-2].replace(b'\xff', b'')
    with pytest.raises(ImageDecodeError, match=r'damaged: \d+ extraneous bytes'):
        decode_bytes(data[:-2] + surplus + data[-2:])


@pytest.mark.parametrize('padding', [bytes(9), bytes(600), b'\xaa' * 40, b'\x01\x02\x03\x04'])
def test_padding_before_the_end_is_no_damage(padding, capfd):
    data = jpeg()
    padded = data[:-2] + padding + data[-2:]
    np.testing.assert_array_equal(decode_bytes(padded), decode_bytes(data))
    assert capfd.readouterr().err == ''


def test_without_simplejpeg_opencv_decodes(monkeypatch):
    data = jpeg()
    expected = decode_bytes(data)
    monkeypatch.setattr(hrda_core.jpeg, '_decode', None)
    np.testing.assert_array_equal(decode_bytes(data), expected)
