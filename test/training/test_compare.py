"""`hrda compare`: runs, seeds, unfinished runs and things that are no runs."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from training.cli import main
from training.comparison.runs import group, read, setting_differences, short_names
from training.run.record import read_run

FINISHED = 'step,loss,images_per_s,mIoU\n2,1.5,4.0,\n4,1.0,6.0,0.4\n'


def write_run(folder: Path, miou: float | None = 0.4, **settings: Any) -> Path:
    """A run folder as training leaves it; without miou, one judged on target frames."""
    (folder / 'scores').mkdir(parents=True)
    loop = {'seed': settings.pop('seed', 0), 'iterations': 4}
    values = {'output': str(folder), 'method': 'self_training', 'loop': loop, **settings}
    (folder / 'config.yaml').write_text(yaml.safe_dump(values))
    (folder / 'metrics.csv').write_text(FINISHED)
    scores: dict[str, Any] = {'by': 'target_score', 'target_score': 0.3, 'shares': {'road': 1.0}}
    if miou is not None:
        classes = {'road': {'iou': miou}, 'bus': {'iou': None}}
        scores = {'by': 'mIoU', 'miou': miou, 'classes': classes}
    write_scores(folder, 4, scores)
    return folder


def write_scores(folder: Path, step: int, scores: dict[str, Any]) -> None:
    (folder / 'scores' / f'step_{step:06}.json').write_text(json.dumps({'step': step, **scores}))


def compare(*arguments: Path | str) -> int:
    return main(['compare', *map(str, arguments)])


def test_runs_of_other_seeds_are_one_experiment(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / 'a', 0.4, seed=0),
        write_run(tmp_path / 'b', 0.6, seed=1),
        write_run(tmp_path / 'c', 0.7, seed=1, method='source_only'),
    ]
    first, second = group([read(run) for run in runs])
    assert [len(first.runs), len(second.runs)] == [2, 1]
    measured = first.value('mIoU', 'last')
    assert (measured.mean, measured.count) == (pytest.approx(0.5), 2)
    assert measured.spread == pytest.approx(math.sqrt(0.02)), 'of a sample'
    assert math.isnan(second.value('mIoU', 'last').spread), 'one run has no spread'
    assert setting_differences([first, second]) == {'method': ['self_training', 'source_only']}


def test_repetitions_may_differ_in_what_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = [write_run(tmp_path / name, model={'start_from': name}) for name in ('a', 'b')]
    runs = [read(run) for run in starts]
    assert len(group(runs)) == 2
    assert len(group(runs, ['model.start_from'])) == 1
    assert compare(*starts, '--ignore', 'model.start') == 1
    assert 'did you mean model.start_from' in capsys.readouterr().err


def test_last_and_best_are_told_apart(tmp_path: Path) -> None:
    run = write_run(tmp_path / 'a', 0.4)
    write_scores(run, 2, {'miou': 0.9, 'classes': {'road': {'iou': 0.9}}})
    (experiment,) = group([read(run)])
    assert experiment.value('mIoU', 'last').mean == 0.4
    assert experiment.value('mIoU', 'best').mean == 0.9
    assert experiment.class_value('mIoU', 'best', 'road').mean == 0.9


def test_tables_plots_and_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / 'a'), write_run(tmp_path / 'b', None, method='min_entropy')]
    out, table = tmp_path / 'out', tmp_path / 'tables' / 'runs.csv'
    assert compare(*runs, '--output', out, '--csv', table) == 0
    told = capsys.readouterr().out
    assert '40.00' in told and '30.00' in told and 'min_entropy' in told
    expected = {'mIoU.png', 'mIoU_classes.png', 'target_score_classes.png', 'loss.png'}
    assert {path.name for path in out.iterdir()} == expected
    assert all(cv2.imread(str(out / name)).std() > 5 for name in expected)
    rows = list(csv.DictReader(table.open()))
    assert [row['run'] for row in rows] == ['a', 'b']
    assert [row['last'] for row in rows] == ['0.4', '0.3']
    assert rows[0]['class/road'] == '0.4' and rows[0]['class/bus'] == ''
    assert [row['method'] for row in rows] == ['self_training', 'min_entropy']


def test_a_run_that_has_only_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = tmp_path / 'begun'
    begun.mkdir()
    (begun / 'config.yaml').write_text('loop: {iterations: 9}\n')
    assert compare(begun, write_run(tmp_path / 'a')) == 0
    assert '0 of 9' in capsys.readouterr().out
    (begun / 'metrics.csv').write_text('step,loss\n3,1.0\n6,0.')
    assert compare(begun, '-o', tmp_path / 'out') == 0
    assert '3 of 9' in capsys.readouterr().out, 'the line that is being written is left out'


def test_scores_of_eval_can_stand_for_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / 'scores.json'
    scores.write_text(json.dumps({'miou': 0.25, 'classes': {'road': {'iou': 0.25}}}))
    assert compare(scores, write_run(tmp_path / 'a')) == 0
    assert '25.00' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('content', 'words'),
    [(None, 'no such run folder'), ('{"a": 1}', 'neither a run'), ('x', 'neither a run')],
)
def test_other_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / 'x.json').write_text(content)
    assert compare(tmp_path / 'x.json') == 1
    error = capsys.readouterr().err
    assert words in error and error.count('\n') == 1


def test_other_folders_and_repetitions_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(tmp_path) == 1
    assert 'is no run folder' in capsys.readouterr().err
    run = write_run(tmp_path / 'a')
    assert compare(run, run) == 1
    assert 'is named twice' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['config.yaml', 'metrics.csv', 'scores/step_000004.json'])
def test_a_damaged_run_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run = write_run(tmp_path / 'a')
    (run / name).write_text('a: [b\n')
    assert compare(run) == 1
    error = capsys.readouterr().err
    assert name in error and error.startswith('hrda compare: ')


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names([Path('/x/a'), Path('/x/b')]) == ['a', 'b']
    assert short_names([Path('/x/1/run'), Path('/x/2/run')]) == ['1/run', '2/run']


def test_losses_are_told_from_other_figures(tmp_path: Path) -> None:
    run = write_run(tmp_path / 'a')
    header = 'step,loss,mix_fused,lr,images_per_s,pseudo_quality,mIoU,IoU/road,target/entropy'
    (run / 'metrics.csv').write_text(f'{header}\n1,1,1,1,1,1,1,1,1\n')
    assert set(read_run(run).losses()) == {'loss', 'mix_fused'}
