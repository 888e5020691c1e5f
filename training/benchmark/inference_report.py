"""What was measured of inference, as a table and as figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from hrda_core.classes import Uint8Array
from training.benchmark.contenders import Peak
from training.benchmark.inference_specs import PUBLISHED, Spec
from training.benchmark.inference_work import Answer, precision_name
from training.benchmark.report import markdown_table, plain_figure

UNKNOWN = '-'


class Turn(NamedTuple):
    """What a contender made of an image.

    Attributes:
        image: number of the image.
        answer: labels, and the time they took.
        first: nothing warmed the contender up before.
    """

    image: int
    answer: Answer
    first: bool = False


@dataclass(frozen=True)
class Measured:
    """What was measured of a contender.

    Attributes:
        spec: the contender.
        turns: at least one.
        peak: memory.
        flops: floating-point operations of an image, by the network's definition.
        matrix_rate: of large matrix products on this device in this precision [FLOP/s].
    """

    spec: Spec
    turns: tuple[Turn, ...]
    peak: Peak
    flops: float
    matrix_rate: float

    def milliseconds(self, percentile: float = 50) -> float:
        """Time of an image that so many percent do not exceed [ms]."""
        times = [turn.answer.milliseconds for turn in self.turns]
        return float(np.percentile(times, percentile))

    @property
    def cold(self) -> bool:
        """Whether the first frame, slower than those to come, is all that was measured."""
        return all(turn.first for turn in self.turns)

    @property
    def windows(self) -> float:
        """Windows that were computed per image."""
        return fmean(turn.answer.computed for turn in self.turns)

    @property
    def used_rate(self) -> float:
        """Part of the measured matrix rate that the network's arithmetic takes up."""
        return self.flops / self.matrix_rate / (self.milliseconds() / 1e3)

    @cached_property
    def labels(self) -> dict[int, Uint8Array]:
        """Labels by image."""
        return {turn.image: turn.answer.labels for turn in self.turns}


def agreement(one: Measured, other: Measured) -> float | None:
    """Share of equal labels over the images that both have seen; None without any."""
    images = one.labels.keys() & other.labels.keys()
    if not images:
        return None
    return fmean(float(np.mean(one.labels[i] == other.labels[i])) for i in images)


def baseline(measured: Sequence[Measured]) -> Measured | None:
    """The published order of work, if it took part."""
    return next((m for m in measured if m.spec.name == PUBLISHED), None)


def all_windows(of: Measured, measured: Sequence[Measured]) -> Measured | None:
    """Who ran the same plan with all its windows; None if nobody did, or there is no choice."""
    wanted = of.spec.without_limits()
    found = (m for m in measured if wanted is not None and m.spec.settings == wanted)
    return next((m for m in found if m.spec.share is None), None)


COLUMNS = (
    *('contender', 'ms', 'p95', 'p99', 'frames', 'images/s', 'faster', 'memory [GB]', 'memory'),
    *('windows', 'of peak', 'labels as published', 'flips'),
)


def inference_table(measured: Sequence[Measured]) -> Table:
    """A row per contender; ratios are against the published order of work."""
    return markdown_table(COLUMNS, [_row(m, measured) for m in measured])


def _row(measured: Measured, everyone: Sequence[Measured]) -> list[str]:
    values = _values(measured, everyone)
    planned = measured.turns[0].answer.planned
    return [
        measured.spec.name,
        *(plain_figure(values[name]) for name in ('median_ms', 'p95_ms', 'p99_ms')),
        f'{len(measured.turns)}{" (cold)" if measured.cold else ""}',
        f'{values["images_per_s"]:.3g}',
        _format(values['speed_ratio'], '{:.2f}x'),
        f'{measured.peak.used / 1e9:.2f}',
        _format(values['memory_ratio'], '{:.2f}x'),
        f'{measured.windows:.3g}/{planned}',
        f'{100 * measured.used_rate:.0f} %',
        _format(values['agreement'], '{:.2%}'),
        _format(values['flips'], '{:.2%}'),
    ]


def _format(value: float | None, text: str) -> str:
    return UNKNOWN if value is None else text.format(value)


def _values(measured: Measured, everyone: Sequence[Measured]) -> dict[str, Any]:
    """The figures of a contender; None where there is nobody to compare with."""
    published, whole = baseline(everyone), all_windows(measured, everyone)
    same = None if whole is None else agreement(measured, whole)
    return {
        'median_ms': measured.milliseconds(),
        'p95_ms': measured.milliseconds(95),
        'p99_ms': measured.milliseconds(99),
        'images_per_s': 1e3 / measured.milliseconds(),
        'speed_ratio': published and published.milliseconds() / measured.milliseconds(),
        'memory_ratio': published and measured.peak.used / max(published.peak.used, 1),
        'agreement': published and agreement(measured, published),
        'flips': None if same is None else 1 - same,
    }


def figures(title: str, measured: Sequence[Measured]) -> dict[str, Any]:
    """Everything that was measured, as plain values for JSON."""
    return {'title': title, 'contenders': [_figures(m, measured) for m in measured]}


def _figures(measured: Measured, everyone: Sequence[Measured]) -> dict[str, Any]:
    settings = measured.spec.settings
    return {
        'name': measured.spec.name,
        'settings': None if settings is None else dataclasses.asdict(settings),
        'precision': precision_name(settings),
        'share': measured.spec.share,
        'cold': measured.cold,
        'milliseconds': [round(turn.answer.milliseconds, 3) for turn in measured.turns],
        **_values(measured, everyone),
        'peak_bytes': measured.peak.total,
        'before_bytes': measured.peak.before,
        'windows_computed': measured.windows,
        'windows_planned': measured.turns[0].answer.planned,
        'flops': measured.flops,
        'matrix_flops_per_s': measured.matrix_rate,
        'used_rate': measured.used_rate,
    }


def cold_note(measured: Iterable[Measured]) -> str:
    """Which contenders were measured cold, what that means and the remedy; '' without any."""
    names = dict.fromkeys(one.spec.name for one in measured if one.cold)
    if not names:
        return ''
    return (
        f'cold: {", ".join(names)}: the first frame alone outlasted --seconds and is all that was '
        'measured, which is slower than the frames to come; raise --seconds to measure those.'
    )


def notes(*, trained: bool, pictures: bool) -> list[str]:
    """What the numbers mean and what they do not.

    Args:
        trained: the weights are those of a checkpoint.
        pictures: the images come from a folder.
    """
    texts = [
        'faster, memory: against the published order of work. of peak: arithmetic of the network '
        'as defined, as a part of what large matrix products reach here in this precision. '
        'flips: labels that differ from the same plan with all its windows.'
    ]
    if not trained:
        texts.append(
            'The weights are random: times and memory are those of a trained network, agreement '
            'and flips are not, and the share of windows is an assumption; --checkpoint measures '
            'a trained one.'
        )
    if trained and not pictures:
        texts.append(
            'The images are made up: agreement, flips and windows that pass a threshold are not '
            'those of a camera; name a folder with --images.'
        )
    return texts
