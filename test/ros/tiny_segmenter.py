"""A segmenter of one line, for tests of the node; as a program, the node with it inside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hrda_core.classes import CITYSCAPES, ClassSet
from hrda_ros import process
from hrda_ros.settings import Settings

Uint8Array = npt.NDArray[np.uint8]
FAILING_RED = 255


class TinyResult(NamedTuple):
    """What a segmenter returns, as far as the node looks."""

    labels: Uint8Array
    confidence: Uint8Array
    windows_computed: int = 3
    windows_planned: int = 4
    milliseconds: float = 0.0


class TinySegmenter:
    """Takes the red channel modulo 19 for the label and the green one for the confidence."""

    classes: ClassSet = CITYSCAPES
    description = 'tiny'
    device = 'cpu'
    precision = 'fp32'
    most_images = 8
    domain, no_domain = None, 'it has no domain'

    def __init__(
        self, delay_s: float = 0.0, classes: ClassSet = CITYSCAPES, windows: int = 3
    ) -> None:
        self.windows = windows
        self.batches: list[tuple[str, ...]] = []
        self.classes = classes
        self.delay_s = delay_s
        self.seen: list[int] = []
        self.room = 'half as much at once'
        self.streams: list[str] = []
        self.limits: list[tuple[float | None, int | None, float | None]] = []
        self.warmed: list[tuple[int, int]] = []
        self.warmed_batches: list[int] = []

    def check_size(self, height: int, width: int) -> None:
        """Refuse what is smaller than a few pixels."""
        if min(height, width) < 4:
            raise ValueError(f'an image of {width}x{height} is too small')

    def warm_up(self, height: int, width: int, images: int = 1) -> float:
        """Nothing to prepare."""
        self.warmed.append((height, width))
        self.warmed_batches.append(images)
        return 1e3 * self.delay_s

    def make_room(self, error: Exception) -> str:
        """Halve what there is, once; from now on one image at a time."""
        self.most_images = 1
        room, self.room = self.room, ''
        return room if 'out of memory' in str(error) else ''

    def set_limits(
        self, threshold: float | None, budget: int | None, deadline_ms: float | None
    ) -> None:
        """Note the limits."""
        self.limits.append((threshold, budget, deadline_ms))

    def segment_batch(
        self, images: Sequence[Uint8Array], streams: Sequence[str]
    ) -> list[TinyResult]:
        """Label images; one whose first red value is 255 fails as a model would."""
        time.sleep(self.delay_s)
        if any(image[0, 0, 0] == FAILING_RED for image in images):
            raise RuntimeError('out of memory')
        self.seen += [int(image[0, 0, 0]) for image in images]
        self.streams += streams
        self.batches.append(tuple(streams))
        milliseconds = 1e3 * self.delay_s
        return [
            TinyResult(image[..., 0] % 19, image[..., 1].copy(), self.windows, 4, milliseconds)
            for image in images
        ]


def make_tiny(_settings: Settings) -> TinySegmenter:
    """Stands in for the loading of a checkpoint."""
    return TinySegmenter()


def main() -> int:
    """The node's own main, with the tiny segmenter."""
    from hrda_ros import segmentation_node

    return segmentation_node.main(make_tiny)


if __name__ == '__main__':
    process.run('ros.tiny_segmenter')
