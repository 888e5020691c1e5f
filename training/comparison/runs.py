"""Runs side by side: which belong together, how they scored, and in what they differ."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training.run.record import Evaluation, RunRecord, read_run, to_evaluation
from training.settings.names import differences, setting_names, unknown_name

At = Literal['last', 'best']
REPEATED = ('loop.seed', 'output')
"""Settings in which repetitions of one experiment differ."""


@dataclass(frozen=True)
class Measured:
    """A figure over the seeds of an experiment.

    Attributes:
        mean: nan where no run has the figure.
        spread: standard deviation (of a sample, n - 1); nan with fewer than two runs.
        count: runs that have the figure.
    """

    mean: float
    spread: float
    count: int


@dataclass(frozen=True)
class Experiment:
    """One run, or several that differ in nothing but the seed.

    Attributes:
        name: what it is called in tables: the end of its folder's name.
        runs: at least one.
    """

    name: str
    runs: tuple[RunRecord, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the first run."""
        return self.runs[0].settings

    def measure(self, figure: Callable[[RunRecord], float]) -> Measured:
        """A figure of every run, as mean and spread; nan means that a run does not have it."""
        values = [value for value in map(figure, self.runs) if not math.isnan(value)]
        if not values:
            return Measured(math.nan, math.nan, 0)
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        return Measured(statistics.fmean(values), spread, len(values))

    def value(self, by: str, at: At) -> Measured:
        """The last or best value of that name, 0..1."""
        return self.measure(lambda run: _value(evaluation(run, at), by))

    def class_value(self, by: str, at: At, name: str) -> Measured:
        """What is known of a class at the last or best evaluation, 0..1."""
        return self.measure(lambda run: _class_value(evaluation(run, at), by, name))


def read(path: str | Path) -> RunRecord:
    """Read a run folder, or the file that `hrda eval --json` wrote.

    Raises:
        ValueError: it is neither.
        FileNotFoundError: there is nothing of that name.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such run folder or JSON file of hrda eval')
    if path.is_dir():
        return read_run(path)
    try:
        scores = to_evaluation(json.loads(path.read_text(encoding='utf-8')))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path}: neither a run folder nor scores of hrda eval') from error
    return RunRecord(path, {}, {}, (scores,), scores.step)


def group(runs: Sequence[RunRecord], ignore: Sequence[str] = ()) -> list[Experiment]:
    """Put runs together that differ in nothing but the seed, in the order given.

    Args:
        runs: at least one.
        ignore: dotted names of settings in which repetitions may differ as well.

    Raises:
        ValueError: a run is named twice, or there is no setting of that name.
    """
    known = set(setting_names())
    for name in ignore:
        if name not in known:
            raise ValueError(unknown_name(name))
    paths = [run.path.resolve() for run in runs]
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f'{path} is named twice')
    groups: list[list[RunRecord]] = []
    for run in runs:
        same = next((g for g in groups if _repeats(g[0], run, ignore)), None)
        if same is None:
            groups.append([run])
        else:
            same.append(run)
    names = short_names([group[0].path for group in groups])
    return [Experiment(name, tuple(g)) for name, g in zip(names, groups, strict=True)]


def _repeats(a: RunRecord, b: RunRecord, ignore: Sequence[str]) -> bool:
    if not a.settings or not b.settings:
        return False
    return set(differences(a.settings, b.settings)) <= {*REPEATED, *ignore}


def short_names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart, of the same number of folders."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ['/'.join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def evaluation(run: RunRecord, at: At) -> Evaluation | None:
    """The last or the best evaluation of a run; None before the first."""
    if at == 'best':
        return run.best
    return run.evaluations[-1] if run.evaluations else None


def kinds(experiments: Iterable[Experiment]) -> list[str]:
    """Names of the values that the last evaluations go by, such as mIoU, each once."""
    runs = [run for experiment in experiments for run in experiment.runs]
    return list(dict.fromkeys(run.evaluations[-1].by for run in runs if run.evaluations))


def class_names(experiments: Iterable[Experiment], by: str, at: At) -> list[str]:
    """Classes that occur in any of the evaluations that go by that value."""
    found = [evaluation(run, at) for experiment in experiments for run in experiment.runs]
    return list(
        dict.fromkeys(
            name
            for one in found
            if one is not None and one.by == by
            for name, value in one.classes.items()
            # Of predicted shares, 0 says that a class does not occur; an IoU of 0 is a result.
            if not math.isnan(value) and (value or by == 'mIoU')
        )
    )


def images_per_second(run: RunRecord) -> float:
    """The median speed of a run, of each domain; nan where it was not measured."""
    curve = run.curves.get('images_per_s')
    return statistics.median(curve.values) if curve else math.nan


def setting_differences(experiments: Sequence[Experiment]) -> dict[str, list[str]]:
    """Settings that are not the same everywhere: dotted name to a text per experiment."""
    first = experiments[0].settings
    names = dict.fromkeys(
        name
        for other in experiments[1:]
        if first and other.settings
        for name in differences(first, other.settings)
        if name not in REPEATED
    )
    return {name: [_setting(e.settings, name) for e in experiments] for name in names}


def _setting(settings: Mapping[str, Any], name: str) -> str:
    value: Any = settings
    for key in name.split('.'):
        if not isinstance(value, Mapping) or key not in value:
            return '-'
        value = value[key]
    if isinstance(value, Mapping) and 'root' in value:
        return str(value['root'])
    return 'null' if value is None else str(value)


def _value(found: Evaluation | None, by: str) -> float:
    return math.nan if found is None or found.by != by else found.value


def _class_value(found: Evaluation | None, by: str, name: str) -> float:
    return math.nan if found is None or found.by != by else found.classes.get(name, math.nan)
