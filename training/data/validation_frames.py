"""Labelled frames that a run is scored on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hrda_core.classes import IGNORE, ClassSet
from training.data.class_stats import Progress, class_statistics
from training.data.frames import find_labelled
from training.data.settings import ValidationSettings
from training.image_files import image_size, spread

Uint8Array = npt.NDArray[np.uint8]


class ValidationFrame(NamedTuple):
    """A labelled frame as it is stored.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        label: uint8 (H, W) train ids, 255 = ignored.
        file: path of the image below the data set's folder.
    """

    image: Uint8Array
    label: Uint8Array
    file: str


class ValidationFrames:
    """The frames that a run is scored on, in the order of their names.

    Raises:
        ValueError: a folder or file is missing, unreadable, or of another size, or no label
            holds a pixel of a class.
    """

    def __init__(self, settings: ValidationSettings, classes: ClassSet) -> None:
        self.frames = find_labelled(settings, classes, 'validation')
        limit = len(self.frames) if settings.limit is None else settings.limit
        if limit < 1:
            raise ValueError(f'validation.limit is {limit}, expected at least 1')
        self._indices = spread(range(len(self.frames)), limit)
        for index in self._indices:
            self.frames.check_header(index)
        self._check_classes()

    def __len__(self) -> int:
        return len(self._indices)

    def largest(self) -> tuple[int, int]:
        """(width, height) of the frame with the longest side [px], from the headers."""
        return max((image_size(self.frames.images[index]) for index in self._indices), key=max)

    def _check_classes(self) -> None:
        """Refuse labels that say nothing; mostly, one look at the first of them is enough."""
        frames = self.frames
        if any((frames.read_label(index) != IGNORE).any() for index in self._indices):
            return
        reason = '; '.join(filter(None, ['all are 255, ignored', frames.left_out()]))
        raise ValueError(
            f'none of the {len(self)} labels, such as {frames.labels[self._indices[0]]}, has a '
            f'pixel of a class of {frames.classes.name} ({reason}), so there is nothing to score; '
            'name other labels, or what their pixels mean with validation.label_ids and '
            'validation.label_map'
        )

    def check_labels(
        self, cache_dir: Path | None = None, progress: Progress | None = None
    ) -> None:
        """Read every label once, so that a wrong one is found now and not when it is scored.

        Args:
            cache_dir: see `class_statistics`, which remembers what was read.
            progress: called with (frames done, all frames).

        Raises:
            ValueError: a label is unreadable, of another size, or holds an unknown id.
        """
        class_statistics(self.frames.part(self._indices), cache_dir, progress)

    def __getitem__(self, position: int) -> ValidationFrame:
        index = self._indices[position]
        return ValidationFrame(*self.frames.read(index), self.frames.name(index))
