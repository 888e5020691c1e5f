"""A loaded network in use: where it came from, what it is warm for, which limits it keeps."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hrda_core.classes import ClassSet
from hrda_ros.domain_watch import DomainWatch
from hrda_ros.image_segmenter import ImageSegmenter
from hrda_ros.model_facts import ModelFacts
from hrda_ros.outputs import Result
from hrda_ros.settings import Settings, anytime_limits

NO_LIMITS = anytime_limits(Settings())


class Model:
    """A segmenter that several cameras share; used by one thread at a time.

    Args:
        segmenter: the network.
        checkpoint: the file it is from.
        log: told of warming up.

    Attributes:
        checkpoint: as given.
    """

    def __init__(
        self, segmenter: ImageSegmenter, checkpoint: str, log: Callable[[str], object]
    ) -> None:
        self.checkpoint = checkpoint
        self._segmenter = segmenter
        self._log = log
        self._facts = ModelFacts(checkpoint)
        self._domain = DomainWatch(checkpoint, segmenter.device, log)
        self._warm_sizes: set[tuple[int, int]] = set()
        self._limits: dict[str, float | int | None] = {}

    def __str__(self) -> str:
        return f'{self.checkpoint or "model"} ({self._segmenter.description})'

    @property
    def classes(self) -> ClassSet:
        """What its labels mean."""
        return self._segmenter.classes

    def facts(self, stream: str) -> dict[str, str]:
        """What it is and needs, and how far a camera is from its domain, for diagnostics."""
        facts = self._facts.values(self._segmenter)
        return facts | {'domain_shift': self._domain.value(stream)}

    def look(self, image: npt.NDArray[np.uint8], stream: str) -> None:
        """Score how far a camera's image, uint8 (H, W, 3) RGB, is from its domain, at 1 Hz."""
        self._domain.look(image, stream)

    def make_room(self, error: Exception) -> str:
        """Need less memory after that error, if memory is what it is about; says how, or ''."""
        return self._segmenter.make_room(error)

    def prepare(self, height: int, width: int) -> None:
        """Warm up for a size of images, so that no frame counts as slow for being first."""
        if (height, width) in self._warm_sizes:
            return
        self._log(f'warming up for images of {width}x{height}')
        started_s = time.monotonic()
        each_ms = self._segmenter.warm_up(height, width)
        self._warm_sizes.add((height, width))
        spent_s = time.monotonic() - started_s
        self._log(f'warm after {spent_s:.1f} s: {each_ms:.0f} ms a frame')

    def segment(self, image: npt.NDArray[np.uint8], stream: str, settings: Settings) -> Result:
        """Label an image, uint8 (H, W, 3) RGB, under the limits that hold now.

        Args:
            image: the picture.
            stream: name of its camera.
            settings: the parameters as they are now.
        """
        limits = anytime_limits(settings)
        if limits != self._limits:
            self._segmenter.set_limits(**limits)
            self._limits = limits
            if settings.mode == 'exact' and limits != NO_LIMITS:
                self._log('threshold, budget and deadline_ms have no effect in mode exact')
        return self._segmenter.segment(image, stream)
