"""What a run folder tells, read back: settings, curves, evaluations; for plots and comparisons."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from training.run.folder import RunFolder

PER_CLASS = 'IoU/'
"""How columns of class scores begin."""
_NO_LOSSES = ('step', 'lr', 'mIoU', 'target_score')
_UNITS = ('_s', '_gb', '_quality', '_share')


class Curve(NamedTuple):
    """A figure over steps.

    Attributes:
        steps: when it was written [steps].
        values: one per step, all of them numbers.
    """

    steps: list[int]
    values: list[float]


class Evaluation(NamedTuple):
    """One judgement of the student.

    Attributes:
        step: when.
        by: name of the value: 'mIoU', or 'target_score' where there are no labels.
        value: 0..1.
        classes: what is known of each class, 0..1: its IoU, or without labels the share of
            pixels that it is predicted for; nan for a class that does not occur.
    """

    step: int
    by: str
    value: float
    classes: dict[str, float]


@dataclass(frozen=True)
class RunRecord:
    """A run, finished or not.

    Attributes:
        path: its folder.
        settings: what it was started with, as plain values.
        curves: the columns of metrics.csv by name, without the empty ones.
        evaluations: in the order of their steps.
        steps: how far it is: steps of the saved state, or of the last row written.
    """

    path: Path
    settings: dict[str, Any]
    curves: dict[str, Curve]
    evaluations: tuple[Evaluation, ...]
    steps: int

    @property
    def best(self) -> Evaluation | None:
        """The evaluation of the highest value, of those that go by what the last one does."""
        known = [e for e in self.evaluations if e.by == self.evaluations[-1].by]
        known = [e for e in known if not math.isnan(e.value)]
        return max(known, key=lambda e: e.value, default=None)

    def losses(self) -> dict[str, Curve]:
        """The curves that are losses."""
        return {
            name: curve
            for name, curve in self.curves.items()
            if name not in _NO_LOSSES and '/' not in name and not name.endswith(_UNITS)
        }


def read_run(path: str | Path) -> RunRecord:
    """Read a run folder; a run that is being written can be read as well.

    Raises:
        ValueError: no run was started here, or one of its files is damaged.
    """
    folder = RunFolder(path)
    try:
        settings = folder.read_config()
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f'{folder.config}: no settings of a run: {error}') from error
    curves = read_curves(folder.metrics)
    last = max((curve.steps[-1] for curve in curves.values()), default=0)
    return RunRecord(
        folder.path, settings, curves, read_evaluations(folder), max(folder.steps_done(), last)
    )


def read_curves(path: Path) -> dict[str, Curve]:
    """Columns of a metrics.csv by name; a last line that is cut off is left out.

    Raises:
        ValueError: the file holds something else.
    """
    if not path.is_file():
        return {}
    text = path.read_text(encoding='utf-8')
    curves: dict[str, Curve] = {}
    reader = csv.DictReader(io.StringIO(text[: text.rfind('\n') + 1]))
    if 'step' not in (reader.fieldnames or ['step']):
        raise ValueError(f'{path}: no table of metrics: it has no column step')
    try:
        for row in reader:
            _add_row(curves, row)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: no table of metrics: {error}') from error
    return curves


def _add_row(curves: dict[str, Curve], row: Mapping[str, str]) -> None:
    step = int(row['step'])
    for name, text in row.items():
        value = float(text) if text else math.nan
        if name != 'step' and not math.isnan(value):
            curve = curves.setdefault(name, Curve([], []))
            curve.steps.append(step)
            curve.values.append(value)


def read_evaluations(folder: RunFolder) -> tuple[Evaluation, ...]:
    """Everything below scores/, in the order of the steps; ValueError names a damaged file."""
    found = []
    for path in sorted(folder.scores.glob('step_*.json')):
        try:
            found.append(to_evaluation(json.loads(path.read_text(encoding='utf-8'))))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path}: no scores of a run: {error!r}') from error
    return tuple(sorted(found, key=lambda evaluation: evaluation.step))


def to_evaluation(stored: Mapping[str, Any]) -> Evaluation:
    """An evaluation from the JSON of a run's scores, or of `hrda eval --json`.

    Raises:
        KeyError: it is something else.
    """
    step = int(stored.get('step', 0))
    if stored.get('by', 'mIoU') == 'mIoU':
        classes = {name: _number(row['iou']) for name, row in stored['classes'].items()}
        return Evaluation(step, 'mIoU', _number(stored['miou']), classes)
    by = str(stored['by'])
    return Evaluation(step, by, _number(stored[by]), dict(stored['shares']))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
