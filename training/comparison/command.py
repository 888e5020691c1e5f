"""Compare training runs: scores, classes, speed, and the settings in which they differ.

Usage: hrda compare RUN RUN ... [--at best] [--ignore SETTING ...]
       [--output DIR] [--csv FILE]

Runs whose settings differ in nothing but loop.seed (and what --ignore names) count as one
experiment, shown as mean and standard deviation. A file of `hrda eval --json` can stand in place
of a run.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from training.comparison.runs import (
    At,
    Experiment,
    Measured,
    class_names,
    evaluation,
    group,
    images_per_second,
    kinds,
    read,
    setting_differences,
    short_names,
)
from training.whole_files import check_writable, write_text


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda compare`."""
    parser.add_argument(
        'runs', nargs='+', type=str, help='run folders, finished or not; files of hrda eval --json'
    )
    parser.add_argument(
        '--at',
        choices=['last', 'best'],
        default='last',
        help='which evaluation the classes are shown at; the published numbers are the last ones',
    )
    parser.add_argument(
        '--ignore',
        nargs='*',
        default=[],
        metavar='SETTING',
        help='settings in which repetitions may differ as well, such as model.start_from',
    )
    parser.add_argument('-o', '--output', metavar='DIR', help='draw plots into this folder')
    parser.add_argument('--csv', metavar='FILE', help='write a row per run into this file')


def run(args: Namespace) -> int:
    """Print the tables; write what is asked for."""
    check_writable(args.csv)
    check_writable(args.output, folder=True)
    experiments = group([read(path) for path in args.runs], args.ignore)
    console = Console(highlight=False)
    console.print(score_table(experiments, args.at))
    if (changed := settings_table(experiments)) is not None:
        console.print(changed)
    if args.csv:
        path = Path(args.csv)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, csv_text(experiments, args.at))
    if args.output:
        from training.comparison.plots import write_comparison

        write_comparison(experiments, args.at, Path(args.output))
    return 0


def score_table(experiments: Sequence[Experiment], at: At) -> Table:
    """Values, speed and classes, one column per experiment."""
    seeds = any(len(e.runs) > 1 for e in experiments)
    title = 'mean ± deviation over seeds' if seeds else None
    table = _table('', experiments, title)
    table.add_row('runs', *(str(len(e.runs)) for e in experiments))
    table.add_row('steps', *map(_steps, experiments))
    table.add_row('images/s', *(_text(e.measure(images_per_second), 1, 2) for e in experiments))
    for by in kinds(experiments):
        table.add_section()
        label = by.replace('_', ' ')
        for when in ('last', 'best'):
            row = [_text(e.value(by, when), 100, 2) for e in experiments]
            table.add_row(f'{label} %, {when}', *row)
        table.add_row('best at step', *(_best_steps(e, by) for e in experiments))
        table.add_section()
        meaning = 'IoU' if by == 'mIoU' else 'predicted share'
        for name in class_names(experiments, by, at):
            row = [_text(e.class_value(by, at, name), 100, 1) for e in experiments]
            table.add_row(f'{name}, {meaning} %', *row)
    return table


def settings_table(experiments: Sequence[Experiment]) -> Table | None:
    """Settings that differ, one column per experiment; None where none do."""
    rows = setting_differences(experiments)
    if not rows:
        return None
    table = _table('setting', experiments, 'what differs')
    for name, values in rows.items():
        table.add_row(name, *values)
    return table


def csv_text(experiments: Sequence[Experiment], at: At) -> str:
    """A row per run: values of 0..1, classes at the chosen evaluation, differing settings."""
    runs = [(e, run) for e in experiments for run in e.runs]
    settings = setting_differences(experiments)
    rows: list[dict[str, Any]] = []
    names = short_names([run.path for _, run in runs])
    for name, (experiment, record) in zip(names, runs, strict=True):
        last, best, shown = (evaluation(record, w) for w in ('last', 'best', at))
        row: dict[str, Any] = {'run': name, 'experiment': experiment.name}
        row |= {'steps': record.steps, 'images_per_s': images_per_second(record)}
        row['seed'] = record.settings.get('loop', {}).get('seed', '')
        if last is not None:
            row |= {'by': last.by, 'last': last.value}
        if best is not None:
            row |= {'best': best.value, 'best_step': best.step}
        if shown is not None:
            row |= {f'class/{key}': value for key, value in shown.classes.items()}
        place = experiments.index(experiment)
        row |= {key: values[place] for key, values in settings.items()}
        rows.append({key: _cell(value) for key, value in row.items()})
    columns = dict.fromkeys(key for row in rows for key in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _table(corner: str, experiments: Sequence[Experiment], title: str | None) -> Table:
    table = Table(title=title)
    table.add_column(corner, no_wrap=True)
    for experiment in experiments:
        table.add_column(experiment.name, justify='right', overflow='fold')
    return table


def _steps(experiment: Experiment) -> str:
    texts = []
    for record in experiment.runs:
        whole = record.settings.get('loop', {}).get('iterations')
        finished = whole is None or record.steps >= whole
        texts.append(f'{record.steps}' if finished else f'{record.steps} of {whole}')
    return ', '.join(dict.fromkeys(texts))


def _best_steps(experiment: Experiment, by: str) -> str:
    found = [record.best for record in experiment.runs]
    return ', '.join(str(e.step) for e in found if e is not None and e.by == by) or '-'


def _text(measured: Measured, factor: float, digits: int) -> str:
    if not measured.count:
        return '-'
    mean = f'{measured.mean * factor:.{digits}f}'
    if math.isnan(measured.spread):
        return mean
    return f'{mean} ± {measured.spread * factor:.{digits}f}'


def _cell(value: Any) -> Any:
    return '' if isinstance(value, float) and math.isnan(value) else value
