"""Runs: resume bit for bit, kills and signals, losses that are no number, the run folder."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch
from rich.console import Console

from hrda_core.checkpoints import CheckpointError, load_model
from training.cli import main
from training.methods.source_only import SourceOnly
from training.progress import LiveDisplay, PlainDisplay
from training.run import assembly, loop
from training.run.folder import MetricsTable, RunFolder
from training.run.state_file import read_state, write_state

ROOT = Path(__file__).parents[2]


def start(data: Path, run: Path, *options: str, **changes: Any) -> int:
    config = tiny_run.write_config(
        run.with_suffix('.yaml'), tiny_run.tiny_settings(data, run, **changes)
    )
    return main(['train', str(config), *options])


def rows(run: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv without the speed, which no two runs share."""
    with (run / 'metrics.csv').open() as file:
        return [
            {k: v for k, v in row.items() if k != 'images_per_s'} for row in csv.DictReader(file)
        ]


def assert_same(a: Any, b: Any, where: str = 'state') -> None:
    """Assert that two nested states are equal, tensors bit for bit."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, Mapping):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f'{where}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for number, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f'{where}[{number}]')
    else:
        assert a == b, where


def assert_same_runs(a: Path, b: Path) -> None:
    states = [read_state(RunFolder(run).state) for run in (a, b)]
    for state in states:
        state.pop('settings')
    assert_same(*states)
    assert rows(a) == rows(b)


@pytest.fixture(scope='module')
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp('whole') / 'run'
    assert start(data, run) == 0
    return run


def test_a_run_leaves_what_it_promises(uninterrupted: Path) -> None:
    folder = RunFolder(uninterrupted)
    assert folder.steps_done() == 6
    assert [row['step'] for row in rows(uninterrupted)] == ['2', '4', '6']
    assert rows(uninterrupted)[-1]['mIoU'] != ''
    assert json.loads((folder.scores / 'step_000006.json').read_text())['images'] == 1
    assert 'torch' in json.loads((uninterrupted / 'versions.json').read_text())['packages']
    assert list(folder.tensorboard.glob('events*'))
    assert 'finished 6 steps' in folder.log_file.read_text()
    assert [load_model(path).step for path in (folder.model, folder.teacher)] == [6, 6]
    assert not list(uninterrupted.rglob('*.part'))


def test_best_is_the_student_of_the_highest_score(data: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    assert start(data, run, loop__iterations=4, loop__evaluate_every=1) == 0
    folder = RunFolder(run)
    stored = [json.loads(path.read_text()) for path in sorted(folder.scores.iterdir())]
    assert len(stored) == 4
    best = max(stored, key=lambda scores: scores['miou'])
    assert load_model(folder.best).step == best['step']
    assert read_state(folder.state)['best'] == best['miou']


def test_a_resumed_run_keeps_the_best_of_before(data: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    assert start(data, run, loop__iterations=2, loop__evaluate_every=1) == 0
    folder = RunFolder(run)
    state = read_state(folder.state)
    write_state(folder.state, state | {'best': 1.0})
    before = folder.best.read_bytes()
    assert main(['train', '--resume', str(run), '--loop.iterations=3']) == 0
    assert folder.best.read_bytes() == before
    assert read_state(folder.state)['best'] == 1.0


def test_student_and_teacher_differ(uninterrupted: Path) -> None:
    folder = RunFolder(uninterrupted)
    student, teacher = load_model(folder.model), load_model(folder.teacher)
    pairs = zip(student.parameters(), teacher.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


class StopAfter:
    """Batches that send a signal to this process and its loading processes before a step."""

    def __init__(self, batches: Any, step: int, number: int) -> None:
        self.batches, self.step, self.number = batches, step, number

    def __call__(self, steps: range) -> Iterator[Any]:
        for step, batch in zip(steps, self.batches(steps), strict=False):
            if step == self.step:
                loading = [child.pid for child in multiprocessing.active_children()]
                for process in (*filter(None, loading), os.getpid()):
                    os.kill(process, self.number)
            yield batch


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_save_and_a_resumed_run_is_the_same(
    data: Path,
    tmp_path: Path,
    uninterrupted: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    whole = assembly.Batches.__call__

    def interrupted(batches: Any, steps: range) -> Iterator[Any]:
        return StopAfter(lambda s: whole(batches, s), 2, number)(steps)

    monkeypatch.setattr(assembly.Batches, '__call__', interrupted)
    run = tmp_path / 'run'
    before = signal.getsignal(number)
    assert start(data, run, loop__workers=1) == 0
    assert f'hrda train --resume {run}' in capsys.readouterr().err
    assert RunFolder(run).steps_done() == 3, 'between two regular checkpoints'
    assert signal.getsignal(number) == before
    monkeypatch.undo()
    assert main(['train', '--resume', str(run), '--loop.workers=0']) == 0
    assert_same_runs(run, uninterrupted)


def test_source_only_resumes_the_same(data: Path, tmp_path: Path) -> None:
    whole, split = tmp_path / 'whole', tmp_path / 'split'
    options = {
        'method': 'source_only',
        'validation': None,
        'optimiser__schedule': 'constant',
        'loop__iterations': 4,
    }
    assert start(data, whole, **options) == 0
    assert start(data, split, **options | {'loop__iterations': 3}) == 0
    assert not RunFolder(whole).teacher.exists()
    assert main(['train', '--resume', str(split), '--loop.iterations=4']) == 0
    states = [read_state(RunFolder(run).state)['method'] for run in (whole, split)]
    assert_same(*states)


def wait_for_steps(run: Path, steps: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while RunFolder(run).steps_done() < steps:
        assert process.poll() is None, 'ended too early'
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_run_goes_on_as_if_nothing_had_been(
    data: Path, tmp_path: Path, uninterrupted: Path
) -> None:
    run = tmp_path / 'run'
    # Neither the checkpoints nor the loading processes change what is learnt.
    settings = tiny_run.tiny_settings(data, run, loop__checkpoint_every=1, loop__workers=1)
    config = tiny_run.write_config(tmp_path / 'c.yaml', settings)
    command = [sys.executable, '-m', 'training.cli', 'train', str(config)]
    environment = os.environ | {'OMP_NUM_THREADS': str(torch.get_num_threads())}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        wait_for_steps(run, 2, process)
        process.kill()
    assert main(['train', '--resume', str(run)]) == 0
    assert_same_runs(run, uninterrupted)


def test_a_loss_that_is_no_number_stops_with_names(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = SourceOnly.step

    def poisoned(method: SourceOnly, batch: Any, number: int, *rest: Any) -> Any:
        terms = step(method, batch, number, *rest)
        return terms | ({'source_detail': torch.tensor(torch.nan)} if number == 1 else {})

    monkeypatch.setattr(SourceOnly, 'step', poisoned)
    run = tmp_path / 'run'
    settings = tiny_run.tiny_settings(data, run, method='source_only', loop__checkpoint_every=1)
    config = tiny_run.write_config(tmp_path / 'c.yaml', settings)
    assert main(['train', str(config)]) == 1
    text = RunFolder(run).log_file.read_text()
    assert 'step 2: source_detail = nan' in text and 'images/0' in text
    assert RunFolder(run).steps_done() == 1, 'the last good state stays'
    assert read_state(RunFolder(run).failed_state)['step'] == 1


@pytest.mark.parametrize('method', ['self_training', 'adversarial'])
def test_the_state_before_a_loss_that_is_no_number_is_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    whole, run = tmp_path / 'whole', tmp_path / 'run'
    changes = {'method': method, 'loop__iterations': 4, 'validation': None}
    assert start(data, whole, **changes) == 0
    outcomes = iter(['', '', 'fused = nan'])
    with monkeypatch.context() as patch:
        patch.setattr(loop, 'non_finite_terms', lambda figures, batch: next(outcomes))
        assert start(data, run, **changes) == 1
    folder = RunFolder(run)
    folder.failed_state.replace(folder.state)
    assert main(['train', '--resume', str(run)]) == 0
    states = [read_state(RunFolder(path).state)['method'] for path in (whole, run)]
    assert_same(*states)


def test_a_run_is_not_overwritten_by_accident(
    data: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = RunFolder(uninterrupted).state.read_bytes()
    assert start(data, uninterrupted) == 1
    error = capsys.readouterr().err
    assert 'holds a run already, with 6 steps' in error
    assert f'--resume {uninterrupted}' in error and '--overwrite' in error
    assert RunFolder(uninterrupted).state.read_bytes() == before


def test_overwrite_starts_anew_and_spares_other_files(data: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    short = {'method': 'source_only', 'loop__iterations': 1, 'validation': None}
    assert start(data, run, **short) == 0
    (run / 'notes.txt').write_text('mine')
    (run / 'scores').mkdir(exist_ok=True)
    (run / 'scores' / 'step_000099.json').write_text('{}')
    assert start(data, run, '--overwrite', **short) == 0
    assert (run / 'notes.txt').read_text() == 'mine'
    assert not (run / 'scores' / 'step_000099.json').exists()
    assert len(rows(run)) == 1


@pytest.mark.parametrize('options', [[], ['--overwrite']])
def test_a_folder_of_other_things_is_left_alone(
    data: Path, tmp_path: Path, options: list[str]
) -> None:
    run = tmp_path / 'run'
    run.mkdir()
    (run / 'thesis.tex').write_text('x')
    assert start(data, run, *options) == 1
    assert [path.name for path in run.iterdir()] == ['thesis.tex']


def test_refused_settings_leave_no_folder(data: Path, tmp_path: Path) -> None:
    assert start(data, tmp_path / 'run', source__root='nowhere') == 1
    assert start(data, tmp_path / 'run', validation__score=['lorry']) == 1
    assert not (tmp_path / 'run').exists()


def test_resume_refuses_another_network(
    uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['train', '--resume', str(uninterrupted), '--model.head_channels=32']) == 1
    assert 'model.head_channels cannot be changed' in capsys.readouterr().err


def test_settings_that_came_after_a_run_do_not_keep_it_from_going_on(
    uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / 'run'
    shutil.copytree(uninterrupted, run)
    config = RunFolder(run).config
    text = config.read_text()
    assert 'start_from_match' in text
    lines = [line for line in text.splitlines() if 'start_from_match' not in line]
    config.write_text('\n'.join(lines))
    assert main(['train', '--resume', str(run)]) == 0


def test_resume_of_no_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['train', '--resume', str(tmp_path)]) == 1
    assert 'is no run folder' in capsys.readouterr().err


def test_a_truncated_state_is_named(tmp_path: Path, uninterrupted: Path) -> None:
    path = tmp_path / 'last.pt'
    path.write_bytes(RunFolder(uninterrupted).state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r'last\.pt'):
        read_state(path)


def test_bf16_trains_on_a_cpu(data: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    changes = {'loop__precision': 'bf16', 'loop__iterations': 2, 'validation': None}
    assert start(data, run, **changes) == 0
    state = read_state(RunFolder(run).state)
    weights = [t for t in state['method']['student'].values() if t.is_floating_point()]
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in weights)


def test_metrics_drop_what_a_killed_run_did_beyond_its_state(tmp_path: Path) -> None:
    path = tmp_path / 'metrics.csv'
    path.write_text('step,loss\n2,1.5\n4,1.25\n6,1.1\n8,0.')
    table = MetricsTable(path, 4)
    table.append({'step': 6, 'loss': 1.0, 'mIoU': 0.5})
    table.append({'step': 8, 'loss': 0.5})
    assert path.read_text() == 'step,loss,mIoU\n2,1.5,\n4,1.25,\n6,1.0,0.5\n8,0.5,\n'


@pytest.mark.parametrize('kind', [PlainDisplay, LiveDisplay])
def test_displays_show_the_figures(kind: type[PlainDisplay] | type[LiveDisplay]) -> None:
    live = kind is LiveDisplay
    console = Console(record=True, width=200, force_terminal=live, file=io.StringIO())
    display = kind(console)
    display.begin('training', 10, 4)
    display.figures(5, 10, {'loss': 1.25, 'mIoU': 43.2}, 61)
    assert list(display.track([1, 2], 'scoring', 2)) == [1, 2]
    display.say('done')
    display.end()
    text = console.export_text()
    assert 'loss 1.25  mIoU 43.2' in text and 'done' in text


def test_versions_keep_the_commands_of_earlier_parts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / 'run')
    for _ in range(3):
        folder.start('{}')
    found = json.loads((folder.path / 'versions.json').read_text())
    assert found['earlier_commands'] == [found['command']] * 2
