"""A loaded network in use: where it came from, what it is warm for, which limits it keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hrda_core.classes import ClassSet, Uint8Array
from hrda_ros.domain_watch import DomainWatch
from hrda_ros.image_segmenter import ImageSegmenter, Result
from hrda_ros.model_facts import ModelFacts
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
        self._domain = DomainWatch(segmenter.domain, segmenter.no_domain, log)
        if segmenter.no_domain:
            log(f'no score of domain shift: {segmenter.no_domain}')
        self._warm: dict[tuple[int, int], int] = {}
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

    def look(self, image: Uint8Array, stream: str) -> None:
        """Score how far a camera's image, uint8 (H, W, 3) RGB, is from its domain, at 1 Hz."""
        self._domain.look(image, stream)

    def make_room(self, error: Exception) -> str:
        """Need less memory after that error, if memory is what it is about; says how, or ''."""
        return self._segmenter.make_room(error)

    @property
    def most_images(self) -> int:
        """Most images that go through it at once."""
        return self._segmenter.most_images

    def prepare(self, height: int, width: int, images: int = 1) -> None:
        """Warm up for a size of images, so that no frame counts as slow for being first.

        Args:
            height: rows [px].
            width: columns [px].
            images: how many there will be at once, at most.

        Raises:
            ValueError: images of this size cannot be segmented.
        """
        ready = self._warm.get((height, width), 0)
        if not ready:
            self._segmenter.check_size(height, width)
        for count in range(ready + 1, min(images, self.most_images) + 1):
            what = f'images of {width}x{height}'
            self._log(f'warming up for {what if count == 1 else f"{count} {what} at once"}')
            started_s = time.monotonic()
            each_ms = self._segmenter.warm_up(height, width, count) / count
            self._warm[height, width] = count
            spent_s = time.monotonic() - started_s
            self._log(f'warm after {spent_s:.1f} s: {each_ms:.0f} ms a frame')

    def segment_batch(
        self, images: Sequence[Uint8Array], streams: Sequence[str], settings: Settings
    ) -> Sequence[Result]:
        """Label images of one size, uint8 (H, W, 3) RGB, under the limits that hold now.

        Args:
            images: the pictures.
            streams: names of their cameras.
            settings: the parameters as they are now.
        """
        limits = anytime_limits(settings)
        if limits != self._limits:
            self._segmenter.set_limits(**limits)
            self._limits = limits
            if settings.mode == 'exact' and limits != NO_LIMITS:
                self._log('threshold, budget and deadline_ms have no effect in mode exact')
        return self._segmenter.segment_batch(images, streams)
