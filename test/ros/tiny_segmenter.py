"""A segmenter of one line, for tests of the node; as a program, the node with it inside."""

from __future__ import annotations

import time
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


class TinySegmenter:
    """Takes the red channel modulo 19 for the label and the green one for the confidence."""

    classes: ClassSet = CITYSCAPES
    description = 'tiny'
    device = 'cpu'
    precision = 'fp32'

    def __init__(self, delay_s: float = 0.0, classes: ClassSet = CITYSCAPES) -> None:
        self.classes = classes
        self.delay_s = delay_s
        self.seen: list[int] = []
        self.room = 'half as much at once'
        self.streams: list[str] = []
        self.limits: list[tuple[float | None, int | None, float | None]] = []
        self.warmed: list[tuple[int, int]] = []

    def warm_up(self, height: int, width: int) -> float:
        """Nothing to prepare."""
        self.warmed.append((height, width))
        return 1e3 * self.delay_s

    def make_room(self, error: Exception) -> str:
        """Halve what there is, once."""
        room, self.room = self.room, ''
        return room if 'out of memory' in str(error) else ''

    def set_limits(
        self, threshold: float | None, budget: int | None, deadline_ms: float | None
    ) -> None:
        """Note the limits."""
        self.limits.append((threshold, budget, deadline_ms))

    def segment(self, image: Uint8Array, stream: str) -> TinyResult:
        """Label an image; one whose first red value is 255 fails as a model would."""
        time.sleep(self.delay_s)
        if image[0, 0, 0] == FAILING_RED:
            raise RuntimeError('out of memory')
        self.seen.append(int(image[0, 0, 0]))
        self.streams.append(stream)
        return TinyResult(image[..., 0] % 19, image[..., 1].copy())


def make_tiny(_settings: Settings) -> TinySegmenter:
    """Stands in for the loading of a checkpoint."""
    return TinySegmenter()


def main() -> int:
    """The node's own main, with the tiny segmenter."""
    from hrda_ros import segmentation_node

    return segmentation_node.main(make_tiny)


if __name__ == '__main__':
    process.run('ros.tiny_segmenter')
