"""What tells how good a student is where no camera frame is labelled.

The value that picks the best student is information x agreement:

* information: how much a pixel's prediction tells, as the entropy of the mean prediction minus
  the mean entropy of the predictions. It is high where pixels are decided AND many classes
  occur. Confidence or entropy alone would call a student best that says `road` everywhere.
* agreement: mean IoU of the student's labels against the teacher's, class by class, so that a
  rare class on which both differ costs as much as a common one. A student that has just moved
  in some direction is told apart from one that has settled. 1 for methods without a teacher.

Weakness: student and teacher can be wrong alike, and be so confidently. Then the value is high,
and only labels could tell. It also favours frames and class sets with many common classes, so
compare values of one run, or of runs of one method on the same target frames and classes, and
nothing else: a teacher lags behind more in a short run than in a long one.
Coverage is left out of the value: it rises with confidence, right or wrong.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hrda_core.classes import ClassSet, Uint8Array
from hrda_core.segmenter import Segmenter
from training.data.datasets import target_valid
from training.data.frames import target_images
from training.data.settings import TargetSettings
from training.data.transforms import resize_label
from training.evaluation.scores import plain_number
from training.image_files import read_image, spread
from training.progress import Display


@dataclass(frozen=True)
class TargetScores:
    """How decided, diverse and steady predictions on unlabelled frames are.

    Attributes:
        by: see `Judgement`.
        coverage: share of pixels whose pseudo label is confident, 0..1; of the teacher, or of
            the student where there is none.
        agreement: mean over classes of the IoU of student and teacher, 0..1; nan without one.
        entropy: mean entropy of the student's predictions, 0 (decided) to 1 (all classes alike).
        information: entropy of the student's mean prediction minus `entropy`, 0..1.
        shares: share of pixels that the student gives to each class, by name.
        images: number of frames looked at.
    """

    coverage: float
    agreement: float
    entropy: float
    information: float
    shares: dict[str, float]
    images: int

    by: ClassVar[str] = 'target_score'

    @property
    def value(self) -> float:
        """Information x agreement, 0..1; see the module for what it is worth."""
        return self.information * (1.0 if math.isnan(self.agreement) else self.agreement)

    def columns(self) -> dict[str, float]:
        """The value and its parts, without an agreement that is not known."""
        columns = {
            self.by: self.value,
            'target/coverage': self.coverage,
            'target/agreement': self.agreement,
            'target/entropy': self.entropy,
            'target/information': self.information,
        }
        return {name: value for name, value in columns.items() if not math.isnan(value)}

    def summary(self) -> str:
        """The value and its parts in percent."""
        agreement = '' if math.isnan(self.agreement) else f', agreement {self.agreement * 100:.1f}'
        return (
            f'target score {self.value * 100:.2f} (no labels: information '
            f'{self.information * 100:.1f}{agreement}, entropy {self.entropy * 100:.1f}, '
            f'coverage {self.coverage * 100:.1f}) over {self.images} target frames'
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, where nan becomes None."""
        return {
            self.by: plain_number(self.value),
            'coverage': plain_number(self.coverage),
            'agreement': plain_number(self.agreement),
            'entropy': plain_number(self.entropy),
            'information': plain_number(self.information),
            'shares': self.shares,
            'images': self.images,
        }


class TargetTally:
    """Counts over the predictions of a student and, where there is one, its teacher.

    Args:
        classes: what is predicted.
        threshold: probability from which on a pseudo label counts as confident.
    """

    def __init__(self, classes: ClassSet, threshold: float) -> None:
        self._classes, self._threshold = classes, threshold
        self._pairs = np.zeros((len(classes), len(classes)), np.int64)
        self._sums = np.zeros(len(classes))
        self._entropy = 0.0
        self._confident = self._pixels = 0
        self._teacher = False

    def add(self, student: Tensor, teacher: Tensor | None) -> None:
        """Count pixels.

        Shape:
            student, teacher: float (C, N) probabilities of the same N pixels.
        """
        labels = student.argmax(dim=0)
        other = labels if teacher is None else teacher.argmax(dim=0)
        count = len(self._classes)
        pairs = torch.bincount(labels * count + other, minlength=count * count)
        self._pairs += pairs.reshape(count, count).cpu().numpy()
        self._sums += student.double().sum(dim=1).cpu().numpy()
        self._entropy += float(-torch.special.xlogy(student, student).double().sum())
        confidence = (student if teacher is None else teacher).amax(dim=0)
        self._confident += int((confidence >= self._threshold).sum())
        self._pixels += labels.numel()
        self._teacher |= teacher is not None

    def scores(self, images: int) -> TargetScores:
        """Scores of everything counted so far; nan where nothing was."""
        pixels, most = max(self._pixels, 1), math.log(max(len(self._classes), 2))
        mean = self._sums / pixels
        diversity = float(-(mean * np.log(np.maximum(mean, 1e-30))).sum()) / most
        entropy = self._entropy / pixels / most
        shares = self._pairs.sum(axis=1) / pixels
        known = self._pixels > 0
        return TargetScores(
            coverage=self._confident / pixels if known else math.nan,
            agreement=self._agreement() if known and self._teacher else math.nan,
            entropy=entropy if known else math.nan,
            information=max(diversity - entropy, 0.0) if known else math.nan,
            shares=dict(zip(self._classes.names, shares.tolist(), strict=True)),
            images=images,
        )

    def _agreement(self) -> float:
        both = np.diag(self._pairs)
        either = self._pairs.sum(axis=0) + self._pairs.sum(axis=1) - both
        return float((both[either > 0] / either[either > 0]).mean())


class TargetFrames:
    """A fixed set of target frames, evenly spread, as the camera gives them.

    Args:
        settings: where they are, and the margins that do not count.
        most: how many to look at.

    Raises:
        ValueError: as of `target_images`.
    """

    def __init__(self, settings: TargetSettings, most: int) -> None:
        self._paths: list[Path] = spread(target_images(settings), most)
        self._settings = settings

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[tuple[Uint8Array, Uint8Array]]:
        """Image uint8 (H, W, 3) RGB, and uint8 (H, W), 0 in margins and mask, else 1."""
        for path in self._paths:
            image = read_image(path)
            yield image, self._inside(path, image)

    def _inside(self, path: Path, image: Uint8Array) -> Uint8Array:
        """The margins are those of the resized frame, the network gets it as it is."""
        height, width = image.shape[:2]
        whole = np.ones((height, width), np.uint8)
        resized = resize_label(whole, self._settings.size)
        valid = target_valid(path, resized.shape[0], resized.shape[1], self._settings)
        return resize_label(valid, (width, height))


def score_target(
    student: Segmenter,
    teacher: Segmenter | None,
    frames: TargetFrames,
    threshold: float,
    display: Display,
) -> TargetScores:
    """Segment frames by student and teacher and compare them, with progress.

    Args:
        student: the network that is judged.
        teacher: its slow average; None for methods without.
        frames: what to look at.
        threshold: see `TargetTally`.
        display: where progress is shown.
    """
    tally = TargetTally(student.classes, threshold)
    for image, inside in display.track(frames, 'looking at target frames', len(frames)):
        for strip, other, valid in _strips(student, teacher, image, inside):
            tally.add(strip[:, valid], None if other is None else other[:, valid])
    return tally.scores(len(frames))


def _strips(
    student: Segmenter, teacher: Segmenter | None, image: Uint8Array, inside: Uint8Array
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    others = itertools.repeat(None) if teacher is None else teacher.probabilities(image)
    row = 0
    for strip, other in zip(student.probabilities(image), others, strict=False):
        rows = slice(row, row + strip.shape[1])
        yield strip, other, torch.from_numpy(inside[rows] > 0).to(strip.device)
        row = rows.stop
