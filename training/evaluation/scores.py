"""Confusion matrix and intersection over union (spec section 6); numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hrda_core.classes import CITYSCAPES, IGNORE, ClassSet

_NOT_IN_SYNTHIA = ('terrain', 'truck', 'train')
_THIN_OR_RARE = ('wall', 'fence', 'pole')
BENCHMARKS = {
    'SYNTHIA, 16 classes': _NOT_IN_SYNTHIA,
    'SYNTHIA, 13 classes': (*_NOT_IN_SYNTHIA, *_THIN_OR_RARE),
}
"""Published variants of the Cityscapes mean, by the classes that they leave out (spec 6)."""


class Judgement(Protocol):
    """What tells how good a student is, on validation frames or without labels.

    Attributes:
        by: name of the value, which is a column of metrics.csv as well.
    """

    by: ClassVar[str]

    @property
    def value(self) -> float:
        """The student of the highest value is the best; 0..1, nan if unknown."""
        ...

    def columns(self) -> dict[str, float]:
        """What metrics.csv keeps of it."""
        ...

    def summary(self) -> str:
        """The value and what it rests on, in words."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, where nan becomes None."""
        ...


@dataclass(frozen=True)
class Scores:
    """How well predictions met labels.

    Attributes:
        by: see `Judgement`.
        names: class names, one per entry of iou.
        iou: intersection over union per class, 0..1; nan for a class that does not occur.
        recall: found share of each class's labelled pixels, 0..1; nan without such pixels.
        pixels: labelled pixels per class [px].
        scored: names of the classes in the mean.
        miou: mean of iou over the scored classes that occur, 0..1; nan when none does.
        accuracy: share of all labelled pixels that are right, 0..1; nan without any.
        images: number of images scored.
        chosen: whether classes were merged, or the classes of the mean were named.
    """

    names: tuple[str, ...]
    iou: tuple[float, ...]
    recall: tuple[float, ...]
    pixels: tuple[int, ...]
    scored: tuple[str, ...]
    miou: float
    accuracy: float
    images: int
    chosen: bool = False

    by: ClassVar[str] = 'mIoU'

    @property
    def value(self) -> float:
        """The mIoU, 0..1."""
        return self.miou

    def columns(self) -> dict[str, float]:
        """mIoU, and the IoU of every class that occurs."""
        per_class = zip(self.names, self.iou, strict=True)
        columns = {f'IoU/{name}': iou for name, iou in per_class if not math.isnan(iou)}
        return {self.by: self.miou, **columns}

    def summary(self) -> str:
        """The mIoU in percent, and the number of images."""
        return f'mIoU {self.miou * 100:.2f} over {self.images} images'

    def benchmarks(self) -> dict[str, float]:
        """mIoU (0..1) of the published variants of the Cityscapes mean; empty for other means.

        There are none where the classes are others, or were merged or chosen.
        """
        if self.names != CITYSCAPES.names or self.chosen:
            return {}
        return {name: self._mean_without(left_out) for name, left_out in BENCHMARKS.items()}

    def _mean_without(self, left_out: Sequence[str]) -> float:
        rows = zip(self.names, self.iou, strict=True)
        known = [iou for name, iou in rows if name not in left_out and not math.isnan(iou)]
        return sum(known) / len(known) if known else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, where nan becomes None."""
        rows = zip(self.names, self.iou, self.recall, self.pixels, strict=True)
        return {
            'miou': plain_number(self.miou),
            'accuracy': plain_number(self.accuracy),
            'images': self.images,
            'scored': list(self.scored),
            'benchmarks': {name: plain_number(miou) for name, miou in self.benchmarks().items()},
            'classes': {
                name: {'iou': plain_number(iou), 'recall': plain_number(recall), 'pixels': pixels}
                for name, iou, recall, pixels in rows
            },
        }


def plain_number(value: float) -> float | None:
    """A number for JSON, which knows no nan."""
    return None if math.isnan(value) else value


class ConfusionMatrix:
    """Counts of (labelled, predicted) pairs over many images.

    Args:
        classes: the class set of labels and predictions.
        merge: class name -> name of the class that it counts as, in predictions and labels.
        score: names of the classes in the mean; empty takes every class that occurs.

    Raises:
        ValueError: merge or score name a class that the set does not have, or score names one
            that is merged away.
    """

    def __init__(
        self,
        classes: ClassSet,
        merge: Mapping[str, str] | None = None,
        score: Sequence[str] = (),
    ) -> None:
        self.classes = classes
        self.score = tuple(score)
        self._merged = bool(merge)
        # The last column holds predictions of no class (255): a label missed by all.
        self.counts = np.zeros((len(classes), len(classes) + 1), np.int64)
        self.images = 0
        self._table = np.full(256, IGNORE, np.uint8)
        self._table[: len(classes)] = np.arange(len(classes))
        for name, target in (merge or {}).items():
            self._table[classes.index(name)] = classes.index(target)
        for name in self.score:
            if self._table[classes.index(name)] != classes.index(name):
                raise ValueError(f'class {name!r} is scored, but also merged into another class')

    def add(self, predicted: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> None:
        """Count one image; pixels labelled 255 are left out, pixels predicted 255 are wrong.

        Shape:
            predicted, labels: uint8 (H, W) train ids.

        Raises:
            ValueError: sizes differ, or a label or prediction is no id of the class set.
        """
        if predicted.shape != labels.shape:
            raise ValueError(f'prediction {predicted.shape} and labels {labels.shape} differ')
        valid = labels != IGNORE
        label_ids, predicted_ids = labels[valid], predicted[valid]
        count = len(self.classes)
        for kind, ids in (('label', label_ids), ('prediction', predicted_ids)):
            if (wrong := ids[(ids >= count) & (ids != IGNORE)]).size:
                raise ValueError(f'{kind} {int(wrong[0])} is outside 0..{count - 1} and not 255')
        rows = self._table[label_ids].astype(np.int64)
        pairs = rows * (count + 1) + np.minimum(self._table[predicted_ids], count)
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)
        self.images += 1

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain values for JSON [px].

        A row per labelled class and a column per predicted one; the last column, named null,
        holds labelled pixels that were given no class.
        """
        names = list(self.classes.names)
        return {'labelled': names, 'predicted': [*names, None], 'counts': self.counts.tolist()}

    def merge(self, ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Train ids (any shape) after the merging of classes."""
        return self._table[ids]

    def scores(self) -> Scores:
        """Scores of everything counted so far."""
        right = np.diag(self.counts)
        labelled, predicted = self.counts.sum(1), self.counts.sum(0)[:-1]
        union = labelled + predicted - right
        iou, recall = _divide(right, union), _divide(right, labelled)
        total = int(labelled.sum())
        occurring = [name for name, n in zip(self.classes.names, union, strict=True) if n]
        scored = self.score or tuple(occurring)
        values = [iou[self.classes.index(name)] for name in scored]
        known = [value for value in values if not math.isnan(value)]
        return Scores(
            names=self.classes.names,
            iou=tuple(iou),
            recall=tuple(recall),
            pixels=tuple(int(n) for n in labelled),
            scored=scored,
            miou=sum(known) / len(known) if known else math.nan,
            accuracy=float(right.sum()) / total if total else math.nan,
            images=self.images,
            chosen=self._merged or bool(self.score),
        )


def _divide(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> list[float]:
    pairs = zip(part, whole, strict=True)
    return [float(a / b) if b else math.nan for a, b in pairs]
