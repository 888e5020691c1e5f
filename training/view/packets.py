"""A frame as bytes for the browser: exact labels and confidence, and the picture as JPEG.

A packet is the length of its head (4 bytes, little endian), the head in JSON (UTF-8), the JPEG,
and labels and confidence, one byte a pixel, row by row, one after the other in a zlib stream.
The browser colours and blends them itself, so that no slider has to wait for the network.
"""

from __future__ import annotations

import json
import struct
import zlib

import cv2
import numpy as np

from hrda_core.classes import IGNORE, Uint8Array
from training.view.player import Shown

JPEG_QUALITY = 90
FASTEST = 1


def encode(shown: Shown, classes: int, widest: int) -> bytes:
    """Make a packet of a frame.

    Args:
        shown: image and result.
        classes: how many there are.
        widest: columns at most; a wider frame is shrunk, its labels without mixing them [px].
    """
    result = shown.segmentation
    height, width = result.labels.shape
    image = _shrunk(shown.image, widest, cv2.INTER_AREA)
    labels = _shrunk(result.labels, widest, cv2.INTER_NEAREST)
    confidence = _shrunk(result.confidence, widest, cv2.INTER_NEAREST)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    counts = np.bincount(result.labels.ravel(), minlength=256)
    head = {
        'index': shown.index,
        'size': [width, height],
        'sent': [labels.shape[1], labels.shape[0]],
        'jpeg': len(jpeg),
        'ms': result.milliseconds,
        'computed': result.windows_computed,
        'planned': result.windows_planned,
        'shares': (counts[:classes] / result.labels.size).round(5).tolist(),
        'unlabelled': round(counts[IGNORE] / result.labels.size, 5),
        'confidence': round(float(cv2.mean(result.confidence)[0]) / 255, 4),
    }
    told = json.dumps(head).encode()
    maps = zlib.compress(labels.tobytes() + confidence.tobytes(), FASTEST)
    return b''.join([struct.pack('<I', len(told)), told, jpeg.tobytes(), maps])


def _shrunk(picture: Uint8Array, widest: int, how: int) -> Uint8Array:
    height, width = picture.shape[:2]
    if width <= widest:
        return picture
    size = (widest, max(round(height * widest / width), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
