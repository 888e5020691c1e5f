"""The choice between cv_bridge, stood in for by small modules, and the built-in decoder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from hrda_core.image_codec import ImageDecodeError, decode_compressed, decode_image
from hrda_ros.decoder import bridge_problem, choose_decoder

SOUND = """
import cv2
import numpy as np

CODES = {'bgr8': cv2.COLOR_BGR2RGB, 'rgba8': cv2.COLOR_RGBA2RGB, 'bgra8': cv2.COLOR_BGRA2RGB,
         'mono8': cv2.COLOR_GRAY2RGB}
CHANNELS = {'mono8': 1, 'rgba8': 4, 'bgra8': 4}

class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        channels = CHANNELS.get(message.encoding, 3)
        pixels = np.ndarray((message.height, int(message.step / channels), channels), np.uint8,
                            buffer=message.data)[:, : message.width]
        if message.is_bigendian:
            pixels = pixels.newbyteorder()
        code = CODES.get(message.encoding)
        return pixels if code is None else cv2.cvtColor(np.ascontiguousarray(pixels), code)
"""


@pytest.fixture
def install_bridge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Put a module named cv_bridge where this process and its children find it first."""

    def install(source: str) -> None:
        (tmp_path / 'cv_bridge.py').write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv('PYTHONPATH', os.pathsep.join(sys.path))

    sys.modules.pop('cv_bridge', None)
    yield install
    sys.modules.pop('cv_bridge', None)


def test_without_simplejpeg_it_is_told_that_damage_goes_unnoticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('hrda_ros.decoder.TELLS_DAMAGE', False)
    assert 'install it with pip' in choose_decoder('compressed').reason
    monkeypatch.setattr('hrda_ros.decoder.TELLS_DAMAGE', True)
    assert 'simplejpeg' not in choose_decoder('compressed').reason


def test_without_cv_bridge_the_built_in_decoder_works() -> None:
    if bridge_problem() != 'cv_bridge is not installed':
        pytest.skip('cv_bridge is installed here')
    decoder = choose_decoder('raw')
    assert decoder.decode is decode_image
    assert decoder.reason == 'decoder: built in, because cv_bridge is not installed'


def test_compressed_images_need_no_cv_bridge() -> None:
    assert choose_decoder('compressed').decode is decode_compressed


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8'])
def test_a_sound_cv_bridge_decodes(
    install_bridge: Callable[[str], None], make_image: Any, picture: Any, encoding: str
) -> None:
    install_bridge(SOUND)
    decoder = choose_decoder('raw')
    assert decoder.reason.startswith('decoder: cv_bridge for rgb8, bgr8')
    message = make_image(picture, encoding, padding=9)
    assert np.array_equal(decoder.decode(message), decode_image(message))


@pytest.mark.parametrize('padding', [0, 2, 9])
@pytest.mark.parametrize('big', [False, True])
def test_rows_of_no_whole_pixels_and_big_endian_bytes_are_kept_from_cv_bridge(
    install_bridge: Callable[[str], None], make_image: Any, picture: Any, padding: int, big: bool
) -> None:
    install_bridge(SOUND)
    message = make_image(picture, 'bgr8', padding=padding)
    message.is_bigendian = int(big)
    assert np.array_equal(choose_decoder('raw').decode(message), decode_image(message))


def test_what_cv_bridge_was_not_checked_for_is_decoded_all_the_same(
    install_bridge: Callable[[str], None], make_image: Any
) -> None:
    install_bridge(SOUND)
    message = make_image(np.full((4, 6), 65535, np.uint16), 'mono16')
    assert (choose_decoder('raw').decode(message) == 255).all()


def test_cv_bridge_gets_no_message_that_is_cut_off(
    install_bridge: Callable[[str], None], make_image: Any, picture: Any
) -> None:
    install_bridge(SOUND)
    message = make_image(picture)
    message.data = message.data[:100]
    with pytest.raises(ImageDecodeError, match='image data is 100 bytes'):
        choose_decoder('raw').decode(message)


@pytest.mark.parametrize(
    ('source', 'reason'),
    [
        ('raise ImportError("_ARRAY_API not found")', r'ImportError: _ARRAY_API not found'),
        (
            'import os; os.abort()',
            r'crashes in its check .*signal 6.*built for numpy 1',
        ),
        (SOUND.replace("'bgr8': cv2.COLOR_BGR2RGB", "'no': 0"), r'decodes bgr8 differently'),
    ],
)
def test_a_broken_cv_bridge_is_left_alone_and_named(
    install_bridge: Callable[[str], None], source: str, reason: str
) -> None:
    install_bridge(source)
    decoder = choose_decoder('raw')
    assert decoder.decode is decode_image
    assert re.search(reason, decoder.reason)
