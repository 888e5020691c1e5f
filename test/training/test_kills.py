"""Runs that are killed at any moment, or find the disk full, and go on as if nothing had been."""

from __future__ import annotations

import csv
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny_processes
import tiny_run
import torch

from hrda_core.checkpoints import load_model, read_tensors, save_model, write_safetensors
from training.cli import main
from training.run.folder import RunFolder
from training.run.state_file import read_state, write_state
from training.run.stop_signals import ECHO_S, StopSignals, withheld

CHANGES = {
    'loop__checkpoint_every': 1,
    'loop__log_every': 1,
    'loop__evaluate_every': 3,
    'loop__batch_size': 1,
    'loop__accumulate': 2,
}


def write_config(data: Path, run: Path, **changes: Any) -> Path:
    settings = tiny_run.tiny_settings(data, run, **(CHANGES | changes))
    return tiny_run.write_config(run.with_suffix('.yaml'), settings)


def losses(run: Path) -> list[dict[str, str]]:
    with RunFolder(run).metrics.open() as file:
        return [
            {k: v for k, v in row.items() if k != 'images_per_s'} for row in csv.DictReader(file)
        ]


class Lives:
    """A run that is killed and resumed.

    Args:
        run: its folder.
        config: its settings.
    """

    def __init__(self, run: Path, config: Path) -> None:
        self.folder, self._config = RunFolder(run), config

    def start(self) -> Any:
        argv = ['train', str(self._config)]
        if self.folder.is_run():
            argv = ['train', '--resume', str(self.folder.path)]
        return tiny_processes.start(argv, self._config.with_suffix('.log'))

    def kill_after(self, seconds: float) -> None:
        process = self.start()
        process.join(seconds)
        assert tiny_processes.finish(process, timeout_s=0)[0] in (None, 0)
        process.join()

    def kill_while_saving(self, pattern: str) -> None:
        process = self.start()
        while process.is_alive() and not list(self.folder.path.rglob(pattern)):
            time.sleep(0.0005)
        process.kill()
        process.join()


def test_kills_at_random_moments_leave_no_trace(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    start = time.monotonic()
    first = tiny_processes.start(['train', str(write_config(data, whole))], tmp_path / 'log')
    assert tiny_processes.finish(first) == [0], (tmp_path / 'log').read_text()
    duration = time.monotonic() - start

    lives = Lives(killed, write_config(data, killed, loop__workers=1))
    moments = random.Random(5)
    for pattern in ('.last.pt.part', '.*.safetensors.*.tmp', '.last.pt.part'):
        lives.kill_after(moments.uniform(0.2, 0.9) * duration)
        lives.kill_while_saving(pattern)
    assert tiny_processes.finish(lives.start()) == [0]

    assert losses(killed) == losses(whole)
    for name in ('model', 'teacher', 'best'):
        a, b = (read_tensors(getattr(RunFolder(run), name)) for run in (whole, killed))
        assert all(torch.equal(a[key], b[key]) for key in a), name
    assert not [*killed.rglob('.*.part'), *killed.rglob('.*.tmp')]


def test_resume_finishes_a_save_that_was_cut_short(data: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    changes = {'loop__iterations': 2, 'validation': None, 'loop__target_score_frames': 0}
    assert main(['train', str(write_config(data, run, **changes))]) == 0
    folder = RunFolder(run)
    before = {name: t.clone() for name, t in read_tensors(folder.teacher).items()}
    save_model(folder.model, load_model(folder.model), step=1)
    folder.teacher.write_bytes(b'')
    folder.write_progress(1, 2)
    (folder.state.parent / '.last.pt.part').write_bytes(b'half')
    assert main(['train', '--resume', str(run)]) == 0
    assert [load_model(path).step for path in (folder.model, folder.teacher)] == [2, 2]
    after = read_tensors(folder.teacher)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert folder.steps_done() == 2
    assert not list(run.rglob('.*.part'))


def test_a_run_that_is_going_on_cannot_be_resumed_beside_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / 'run'
    config = write_config(data, run, loop__iterations=1000, loop__workers=1)
    process = tiny_processes.start(['train', str(config)], tmp_path / 'log')
    while process.is_alive() and not RunFolder(run).steps_done():
        time.sleep(0.01)
    assert main(['train', '--resume', str(run)]) == 1
    assert 'another process is training in this folder' in capsys.readouterr().err
    process.kill()
    process.join()
    assert main(['train', '--resume', str(run), '--loop.iterations=1']) == 0


def test_a_full_disk_keeps_the_old_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A limit on the size of files stands in for the end of the disk."""
    state, model = tmp_path / 'last.pt', tmp_path / 'model.safetensors'
    write_state(state, {'step': 1})
    write_safetensors(model, {'a': torch.zeros(1)}, {})
    large = torch.zeros(100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r'last\.pt could not be written \(.*File too large'):
            write_state(state, {'step': 2, 'large': large})
        with pytest.raises(OSError, match=r'model\.safetensors could not be written'):
            write_safetensors(model, {'a': large}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_state(state)['step'] == 1
    assert read_tensors(model)['a'].shape == (1,)
    assert len(list(tmp_path.iterdir())) == 2


def test_only_a_second_ctrl_c_interrupts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(time, 'monotonic', lambda: now)
    with StopSignals() as stop:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert stop.received == 'SIGUSR1'
        now += 2 * ECHO_S
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_processes_that_start_while_signals_are_withheld_do_not_get_them() -> None:
    asks = 'import signal; print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))'
    command = [sys.executable, '-c', asks]
    with withheld([signal.SIGTERM]):
        inside = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    outside = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (inside, outside) == ('True\n', 'False\n')
