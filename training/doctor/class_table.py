"""How often each class occurs, in what is learnt from and in what is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hrda_core.classes import ClassSet
from training.data.class_stats import ClassStatistics
from training.data.sampling import RareClassSampler
from training.data.settings import ValidationSettings
from training.doctor.findings import Findings
from training.doctor.frame_facts import FrameFacts
from training.doctor.frame_sets import FrameSet, learnt
from training.run.assembly import rare_classes
from training.settings.run import TrainSettings

FEW_FRAMES = 10
"""A class that fewer frames stand for is learnt by heart rather than learnt."""
OTHER_SHARE = 5.0
"""A class whose shares differ by this factor between two sets is worth a note."""
NOTABLE_SHARE = 0.002
"""Classes below this share of both sets are too rare for such a comparison."""


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes:
        name: of the class.
        shares: of the labelled pixels of each labelled set, by role, 0..1.
        frames: of the sets that are learnt from, those with any pixel of it.
        enough: of these, those that stand for it in rare class sampling.
        drawn: probability that a labelled image is drawn for it; None = uniform draws.
    """

    name: str
    shares: dict[str, float]
    frames: int
    enough: int
    drawn: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def statistics_of(facts: Sequence[FrameFacts]) -> ClassStatistics | None:
    """Pixels per frame and class of the labels that were read; None where there are none."""
    counts = [each.counts[:-1] for each in facts if each.counts is not None]
    return ClassStatistics(np.stack(counts)) if counts else None


def class_table(
    settings: TrainSettings,
    classes: ClassSet,
    sets: tuple[FrameSet, ...],
    statistics: dict[str, ClassStatistics],
) -> tuple[ClassRow, ...]:
    """A row per class.

    Args:
        settings: limits and temperature of rare class sampling.
        classes: what there is.
        sets: all sets of the run.
        statistics: of the labelled sets, by role.
    """
    chosen = rare_classes(settings)
    rare = chosen is not None and chosen.rare_class_sampling
    counted = [each for each in learnt(sets) if each.role in statistics]
    frames = np.zeros(len(classes), np.int64)
    enough = np.zeros(len(classes), np.int64)
    drawn = np.zeros(len(classes))
    rarity = _rarity(counted, statistics)
    for each in counted:
        own = statistics[each.role]
        frames += (own.counts > 0).sum(axis=0)
        if not own.counts.any():
            continue
        sampler = RareClassSampler(own, settings.self_training, rarity)
        enough += (own.counts > sampler.min_pixels).sum(axis=0)
        drawn += each.share * sampler.probabilities
    shares = {role: own.shares for role, own in statistics.items()}
    return tuple(
        ClassRow(
            name,
            {role: float(values[i]) for role, values in shares.items()},
            int(frames[i]),
            int(enough[i]),
            float(drawn[i]) if rare else None,
        )
        for i, name in enumerate(classes.names)
    )


def _rarity(
    sets: Sequence[FrameSet], statistics: dict[str, ClassStatistics]
) -> npt.NDArray[np.float64] | None:
    if len(sets) < 2:
        return None
    shares = [statistics[each.role].shares for each in sets]
    return np.asarray(np.average(shares, axis=0, weights=[each.share for each in sets]))


def report_classes(
    settings: TrainSettings, rows: Sequence[ClassRow], roles: Sequence[str], findings: Findings
) -> None:
    """Findings about classes that are missing, rare, or unlike between the sets.

    Args:
        settings: which names are scored and merged in scores.
        rows: of `class_table`.
        roles: of the sets that are learnt from.
        findings: takes what is found.
    """
    if not any(role in row.shares for row in rows for role in roles):
        return
    absent = [row.name for row in rows if not row.frames]
    lost = _never_right(settings.validation, rows)
    if lost:
        findings.warning(
            'classes',
            f'in the validation labels, but never in what is learnt from: {", ".join(lost)}',
            'they will score 0: leave them out of validation.score, merge them, or add a source '
            'that has them',
        )
    unseen = [name for name in absent if name not in lost]
    if unseen:
        findings.warning(
            'classes',
            f'never in what is learnt from, so they cannot be learnt: {", ".join(unseen)}',
            'fine if the camera does not meet them either; else add a source that has them',
        )
    few = [row for row in rows if row.frames and row.enough < FEW_FRAMES]
    if few:
        findings.warning(
            'classes',
            'few frames have enough of '
            + ', '.join(f'{row.name} ({row.enough} of {row.frames})' for row in few)
            + f', fewer than {FEW_FRAMES} each',
            'these few are seen again and again; render more of them, or lower '
            'self_training.rare_class_min_pixels',
        )
    _report_unlike(rows, findings)


def _never_right(validation: ValidationSettings | None, rows: Sequence[ClassRow]) -> list[str]:
    """Names that are scored although nothing could be learnt of them."""
    if validation is None:
        return []
    merge = validation.merge
    learnt_names = {merge.get(row.name, row.name) for row in rows if row.frames}
    labelled = [merge.get(row.name, row.name) for row in rows if row.shares.get('validation')]
    scored = [name for name in labelled if name in validation.score or not validation.score]
    return sorted(set(scored) - learnt_names)


def _report_unlike(rows: Sequence[ClassRow], findings: Findings) -> None:
    others = [role for role in ('few_labels', 'validation') if role in rows[0].shares]
    for role in others if 'source' in rows[0].shares else ():
        unlike = [
            f'{row.name} {row.shares["source"]:.1%} / {row.shares[role]:.1%}'
            for row in rows
            if _differ(row.shares['source'], row.shares[role])
        ]
        apart = sum(abs(row.shares['source'] - row.shares[role]) for row in rows) / 2
        if unlike:
            findings.note(
                f'source / {role}',
                f'{apart:.0%} of the pixels would have to change class to make the histograms '
                f'equal; shares that differ by more than {OTHER_SHARE:g} times: '
                f'{", ".join(unlike)}',
            )


def _differ(a: float, b: float) -> bool:
    low, high = sorted((a, b))
    return low > 0 and high > NOTABLE_SHARE and high > OTHER_SHARE * low
