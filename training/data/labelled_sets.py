"""The labelled half of a batch: one source, or several and a few camera frames, by weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from hrda_core.classes import ClassSet
from training.data.class_stats import ClassStatistics, Progress, class_statistics
from training.data.datasets import MEAN_COLOUR, Place, SourceDataset
from training.data.frames import find_labelled
from training.data.sampling import RareClassSampler
from training.data.settings import LabelledSettings
from training.methods.settings import SelfTrainingSettings
from training.randomness import Stream, step_generator

if TYPE_CHECKING:
    from training.settings.run import TrainSettings


@dataclass(frozen=True)
class LabelledSet:
    """A labelled data set and its part in training.

    Attributes:
        settings: where its frames are and how they are cropped.
        role: name of these settings, for errors and figures.
        share: of the labelled images of a run that come from it, 0..1.
    """

    settings: LabelledSettings
    role: str = 'source'
    share: float = 1.0


def labelled_sets(settings: TrainSettings) -> tuple[LabelledSet, ...]:
    """All labelled data sets of a run; their shares add up to 1.

    `few_labels` has the share that it names; the sources divide the rest by weight. Empty where
    nothing labelled is learnt from.
    """
    if settings.source is None:
        return ()
    few, sources = settings.few_labels, (settings.source, *settings.extra_sources)
    rest = 1.0 if few is None else 1.0 - few.share
    total = sum(source.weight for source in sources)
    roles = ('source', *(f'extra_sources[{i}]' for i in range(len(settings.extra_sources))))
    sets = [
        LabelledSet(source, role, rest * source.weight / total)
        for source, role in zip(sources, roles, strict=True)
    ]
    if few is not None:
        if few.size is None and settings.target is not None:
            few = replace(few, size=settings.target.size)
        sets.append(LabelledSet(few, 'few_labels', few.share))
    return tuple(sets)


class MixedSources(Dataset[dict[str, Any]]):
    """Several labelled data sets as one, drawn by their shares.

    `dataset[(step, slot)]` is a sample of the data set that is drawn for that place; its 'file'
    begins with the name of that set's settings.

    Args:
        datasets: the opened data sets.
        sets: what they are, in the same order; the shares add up to 1.
        seed: base of all draws, at least 0.
    """

    def __init__(
        self, datasets: Sequence[SourceDataset], sets: Sequence[LabelledSet], seed: int
    ) -> None:
        self.datasets, self.sets = tuple(datasets), tuple(sets)
        self._seed = seed

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)

    def __getitem__(self, place: Place) -> dict[str, Any]:
        generator = step_generator(self._seed, Stream.DATA_SET, *place)
        shares = [each.share for each in self.sets]
        number = int(generator.choice(len(shares), p=shares))
        sample = self.datasets[number][place]
        return sample | {'file': f'{self.sets[number].role}: {sample["file"]}'}

    def left_out(self) -> tuple[str, ...]:
        """Sentences about what is labelled and ignored for want of a class."""
        return tuple(
            f'{each.role}: {text}'
            for dataset, each in zip(self.datasets, self.sets, strict=True)
            for text in dataset.left_out()
        )

    def padding(self) -> tuple[str, ...]:
        """Sentences about frames that are smaller than the crops."""
        pairs = zip(self.datasets, self.sets, strict=True)
        return tuple(text for dataset, each in pairs for text in dataset.padding(each.role))

    def composition(self) -> str:
        """Frames and share of every data set, in words."""
        return ', '.join(
            f'{len(dataset)} of {each.role} drawn {each.share:.0%} of the time'
            for dataset, each in zip(self.datasets, self.sets, strict=True)
        )


def open_labelled(
    sets: Sequence[LabelledSet],
    classes: ClassSet,
    *,
    crop_size: int,
    seed: int,
    rare: SelfTrainingSettings | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    fill: tuple[int, int, int] = MEAN_COLOUR,
) -> SourceDataset | MixedSources:
    """Find, check and count the labelled frames.

    A class is rare for rare class sampling when it is rare in all that is learnt from: its share
    is the mean over the data sets, weighted by how often each is drawn. Each data set then draws
    among the classes that it has itself, so the shares of the data sets hold.

    Args:
        sets: the data sets, at least one.
        classes: what the labels mean.
        crop_size: side of the crops [px].
        seed: base of all draws, at least 0.
        rare: settings of rare class sampling; None, or sampling off in them = uniform draws.
        cache_dir: where the class counts are kept, see `class_statistics`.
        progress: called with (frames done, all frames) while the frames of a set are counted.
        fill: RGB of padding where frames are smaller than the crop.

    Raises:
        ValueError: a folder or file is missing, unreadable, of another size, or holds an id
            that is no class.
    """
    found = [find_labelled(each.settings, classes, each.role) for each in sets]
    counted = [class_statistics(frames, cache_dir, progress) for frames in found]
    rarity = None
    if len(sets) > 1:
        shares = [statistics.shares for statistics in counted]
        rarity = np.average(shares, axis=0, weights=[each.share for each in sets])
    datasets = [
        SourceDataset(
            frames,
            each.settings,
            crop_size=crop_size,
            seed=seed,
            sampler=_sampler(statistics, rare, rarity),
            fill=fill,
        )
        for each, frames, statistics in zip(sets, found, counted, strict=True)
    ]
    return datasets[0] if len(datasets) == 1 else MixedSources(datasets, sets, seed)


def check_apart(settings: TrainSettings, classes: ClassSet) -> None:
    """Refuse few labels that are validation frames: they would be scored after being learnt.

    Raises:
        ValueError: an image file is in both, also under another name (a link).
    """
    if settings.few_labels is None or settings.validation is None:
        return
    learnt = find_labelled(settings.few_labels, classes, 'few_labels').images
    scored = {
        _identity(path)
        for path in find_labelled(settings.validation, classes, 'validation').images
    }
    both = [path for path in learnt if _identity(path) in scored]
    if both:
        raise ValueError(
            f'{len(both)} of the {len(learnt)} frames of few_labels are validation frames as '
            f'well, such as {both[0]}: a score on frames that were learnt says nothing; keep '
            'the two sets apart'
        )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _sampler(
    statistics: ClassStatistics,
    rare: SelfTrainingSettings | None,
    rarity: npt.NDArray[np.float64] | None,
) -> RareClassSampler | None:
    if rare is None or not rare.rare_class_sampling:
        return None
    return RareClassSampler(statistics, rare, rarity)
