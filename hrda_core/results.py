"""What is known of an image once it is segmented."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hrda_core.classes import Uint8Array


class Segmentation(NamedTuple):
    """What the network says of one image.

    Attributes:
        labels: uint8 (H, W) train ids.
        confidence: uint8 (H, W), largest softmax probability of the fused logits, divided by the
            temperature of a calibrated checkpoint, 0..255.
        windows_computed: detail windows that went through the network.
        windows_planned: detail windows of the published plan, repeated ones counted.
        milliseconds: wall time of the call [ms].
    """

    labels: Uint8Array
    confidence: Uint8Array
    windows_computed: int
    windows_planned: int
    milliseconds: float


class Explanation(NamedTuple):
    """A segmentation and what each resolution contributed, all at the size of the image.

    Attributes:
        segmentation: the fused result.
        context: uint8 (H, W) labels of the context branch alone.
        detail: uint8 (H, W) labels of the detail windows alone.
        attention: uint8 (H, W), attention of the predicted classes (spec section 2.3), 0
            (context) to 255 (detail).
    """

    segmentation: Segmentation
    context: Uint8Array
    detail: Uint8Array
    attention: Uint8Array


def certain_labels(
    labels: Uint8Array, confidence: Uint8Array, min_confidence: float
) -> Uint8Array:
    """Labels with 255, unlabelled, where the confidence is too low.

    Shape:
        labels, confidence: uint8 (H, W), as of a `Segmentation`; result: the same.

    Args:
        labels: train ids.
        confidence: 0..255.
        min_confidence: least confidence of a pixel that keeps its label, 0..1.
    """
    # Rounding keeps 0.2 * 255 = 51.00000000000001 at 51.
    least = math.ceil(round(min_confidence * 255, 6))
    if not least:
        return labels
    uncertain = np.less(confidence, least).view(np.uint8)
    certain: Uint8Array = np.bitwise_or(labels, np.negative(uncertain))
    return certain
