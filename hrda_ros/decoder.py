"""What turns camera messages into pictures: cv_bridge where it is sound, else our own decoder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image

from hrda_core.image_codec import check_image, decode_compressed, decode_image
from hrda_core.jpeg import TELLS_DAMAGE

Rgb = npt.NDArray[np.uint8]
CHECKED = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}
"""Bytes per pixel of the encodings that cv_bridge is checked for and trusted with."""
BLIND = (
    'many damaged JPEGs go unnoticed, because simplejpeg is not installed; install it with pip '
    'for this Python'
)
PADDING = 5
CHECK_TIMEOUT_S = 30.0


class Decoder(NamedTuple):
    """A way from messages to pictures, uint8 (H, W, 3) RGB, and why it was chosen."""

    decode: Callable[[Any], Rgb]
    reason: str


def choose_decoder(image_transport: str) -> Decoder:
    """The decoder for raw or compressed images."""
    if image_transport == 'compressed':
        reason = 'decoder: built in, as for all compressed images'
        return Decoder(decode_compressed, reason if TELLS_DAMAGE else f'{reason}; {BLIND}')
    problem = bridge_problem()
    if problem:
        return Decoder(decode_image, f'decoder: built in, because {problem}')
    from cv_bridge import CvBridge

    decode = partial(decode_by_bridge, CvBridge())
    return Decoder(decode, f'decoder: cv_bridge for {", ".join(CHECKED)}, built in for others')


def decode_by_bridge(bridge: Any, message: Image) -> Rgb:
    """Decode by cv_bridge what it was checked for; everything else by our own decoder.

    cv_bridge takes rows for whole pixels and shears others without a word, and with numpy 2 it
    fails on big-endian messages, whatever that means for single bytes.

    Raises:
        ImageDecodeError: as `decode_image`; cv_bridge gets no message that is cut off.
    """
    pixel_bytes = CHECKED.get(message.encoding)
    if not pixel_bytes or message.step % pixel_bytes or message.is_bigendian:
        return decode_image(message)
    check_image(message)
    return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, 'rgb8'))


def bridge_problem() -> str:
    """Why cv_bridge cannot be used here; '' where it can.

    It is tried in a process of its own: a build for numpy 1 can crash beside numpy 2.
    """
    if find_spec('cv_bridge') is None:
        return 'cv_bridge is not installed'
    check = 'from hrda_ros.decoder import check_bridge; check_bridge()'
    try:
        tried = subprocess.run(
            [sys.executable, '-c', check], capture_output=True, text=True, timeout=CHECK_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f'cv_bridge did not answer within {CHECK_TIMEOUT_S:.0f} s'
    if tried.returncode == 0:
        return ''
    if tried.returncode < 0:
        return (
            f'cv_bridge crashes in its check with numpy {np.__version__} (signal '
            f'{-tried.returncode}); it was probably built for numpy 1'
        )
    last = (tried.stderr.strip().splitlines() or [f'exit code {tried.returncode}'])[-1]
    return f'cv_bridge fails its check with numpy {np.__version__} ({last})'


def check_bridge() -> None:
    """Compare cv_bridge with our own decoder on small pictures with padded rows.

    Raises:
        ValueError: they differ; whatever cv_bridge raises when it is broken passes through.
    """
    from cv_bridge import CvBridge

    bridge = CvBridge()
    for encoding, channels in CHECKED.items():
        height, width = 4, 6
        step = width * channels + PADDING * channels
        message = Image(height=height, width=width, encoding=encoding, step=step)
        message.data.frombytes(bytes(value % 251 for value in range(height * step)))
        if not np.array_equal(decode_by_bridge(bridge, message), decode_image(message)):
            raise ValueError(f'cv_bridge decodes {encoding} differently')
