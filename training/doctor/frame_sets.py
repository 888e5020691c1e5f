"""The sets of frames that a run reads, each found on its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hrda_core.classes import ClassSet
from training.data.frames import LabelledFrames, find_labelled, target_images
from training.data.labelled_sets import labelled_sets
from training.doctor.findings import Findings
from training.settings.run import TrainSettings


@dataclass(frozen=True)
class FrameSet:
    """The frames of one data set of a run.

    Attributes:
        role: name of its settings: source, extra_sources[0], few_labels, target, validation.
        root: its folder.
        images: the image files.
        size: what frames are resized to fit into (width, height) [px]; None = not resized.
        labelled: images with their labels; None where there are none.
        share: of the labelled images of a run that come from it, 0..1; 0 = nothing is learnt
            from its labels.
    """

    role: str
    root: Path
    images: tuple[Path, ...]
    size: tuple[int, int] | None = None
    labelled: LabelledFrames | None = None
    share: float = 0.0

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Path of an image below the root."""
        return os.path.relpath(self.images[index], self.root)


def find_sets(
    settings: TrainSettings, classes: ClassSet, findings: Findings
) -> tuple[FrameSet, ...]:
    """All sets of a run that can be listed; those that cannot become error findings."""
    sets: list[FrameSet] = []
    for each in labelled_sets(settings):
        with findings.kept(each.role):
            frames = find_labelled(each.settings, classes, each.role)
            sets.append(_labelled(each.role, frames, each.settings.size, each.share))
    if settings.target is not None:
        with findings.kept('target'):
            images = tuple(target_images(settings.target))
            root = Path(settings.target.root).expanduser()
            sets.append(FrameSet('target', root, images, settings.target.size))
    if settings.validation is not None:
        with findings.kept('validation'):
            frames = find_labelled(settings.validation, classes, 'validation')
            sets.append(_labelled('validation', frames, None, 0.0))
    return tuple(sets)


def _labelled(
    role: str, frames: LabelledFrames, size: tuple[int, int] | None, share: float
) -> FrameSet:
    return FrameSet(role, frames.root, frames.images, size, frames, share)


def learnt(sets: tuple[FrameSet, ...]) -> Iterator[FrameSet]:
    """The sets whose labels are learnt from."""
    return (each for each in sets if each.share > 0)
