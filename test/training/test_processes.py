"""Several processes that train together: the same weights as one, and one end for all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_processes
import tiny_run
import torch

from hrda_core.checkpoints import read_tensors
from training.cli import main
from training.run.folder import RunFolder
from training.run.launch import find_workplace
from training.run.processes import ALONE
from training.settings.run import LoopSettings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize('method', ['self_training', 'adversarial'])
def test_two_processes_learn_what_one_learns_from_both_batches(
    data: Path, tmp_path: Path, method: str
) -> None:
    """Batch norms aside: this network has none. The pseudo labels' quality is a fraction."""
    common = {'method': method, 'self_training__pseudo_threshold': 0.06}
    runs = {'one': {}, 'two': {'loop__batch_size': 1}, 'start': {'optimiser__lr': 1e-12}}
    configs = {
        name: tiny_run.write_config(
            tmp_path / f'{name}.yaml',
            tiny_run.plain_settings(data, tmp_path / name, **common, **changes),
        )
        for name, changes in runs.items()
    }
    two = tiny_processes.start_together(['train', str(configs['two'])], tmp_path / 'log', 2)
    for name in ('one', 'start'):
        assert main(['train', str(configs[name])]) == 0
    assert tiny_processes.finish(*two) == [0, 0], (tmp_path / 'log.0').read_text()
    one, both, start = (read_tensors(RunFolder(tmp_path / name).model) for name in runs)
    moved = max(float((one[name] - start[name]).abs().max()) for name in one)
    apart = max(float((one[name] - both[name]).abs().max()) for name in one)
    assert moved > 1e-4
    assert apart < 1e-3 * moved
    assert '2 processes x 1 images x 1 batches = 2 images' in (tmp_path / 'log.0').read_text()
    assert 'images' not in (tmp_path / 'log.1').read_text(), 'the first process speaks for all'


def test_an_error_in_one_process_ends_both_and_is_told_once(data: Path, tmp_path: Path) -> None:
    settings = tiny_run.plain_settings(data, tmp_path / 'run', loop__batch_size=1)
    config = tiny_run.write_config(tmp_path / 'run.yaml', settings)
    first, second = tiny_processes.start_together(
        ['train', str(config), '--source.root=nowhere'], tmp_path / 'log', 2
    )
    assert tiny_processes.finish(first, second) == [1, 1]
    assert 'nowhere' in (tmp_path / 'log.0').read_text()
    assert 'hrda train' not in (tmp_path / 'log.1').read_text()
    assert not (tmp_path / 'run').exists()


def test_the_death_of_one_process_ends_the_other(data: Path, tmp_path: Path) -> None:
    changes = {'loop__batch_size': 1, 'loop__iterations': 1000, 'loop__checkpoint_every': 1}
    settings = tiny_run.plain_settings(data, tmp_path / 'run', **changes)
    config = tiny_run.write_config(tmp_path / 'run.yaml', settings)
    first, second = tiny_processes.start_together(['train', str(config)], tmp_path / 'log', 2)
    wait_for_steps(tmp_path / 'run', 1)
    second.kill()
    assert tiny_processes.finish(first, second) == [1, -signal.SIGKILL]
    assert 'ended without a word' in (tmp_path / 'log.0').read_text()


def wait_for_steps(run: Path, steps: int) -> None:
    deadline = time.monotonic() + 120
    while RunFolder(run).steps_done() < steps:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_signal_to_torchrun_stops_all_at_the_same_step(data: Path, tmp_path: Path) -> None:
    changes = {'loop__batch_size': 1, 'loop__iterations': 1000, 'loop__checkpoint_every': 1}
    run = tmp_path / 'run'
    settings = tiny_run.plain_settings(data, run, **changes, loop__workers=1)
    config = tiny_run.write_config(tmp_path / 'run.yaml', settings)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
    command += ['-m', 'training.cli', 'train', str(config)]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {'OMP_NUM_THREADS': '1'}
    ) as torchrun:
        wait_for_steps(run, 1)
        torchrun.send_signal(signal.SIGTERM)
        torchrun.wait(120)
    text = RunFolder(run).log_file.read_text()
    steps = RunFolder(run).steps_done()
    assert f'SIGTERM: stopped after step {steps}, state saved' in text
    assert main(['train', '--resume', str(run), f'--loop.iterations={steps + 1}']) == 0


def test_a_single_process_is_its_own_answer() -> None:
    assert ALONE.first and ALONE.gather('x') == ['x']
    assert torch.equal(ALONE.average(torch.tensor(0.5)), torch.tensor(0.5))
    with pytest.raises(KeyError), ALONE.together():
        raise KeyError('own')


@pytest.mark.parametrize('changes', [{'devices': 0}, {'nodes': 0}, {'accumulate': 0}])
def test_none_of_a_thing_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f'loop.{next(iter(changes))}'):
        LoopSettings(**changes)


def test_machines_that_nobody_named_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('MASTER_ADDR', 'TORCHELASTIC_RUN_ID', 'SLURM_STEP_NUM_TASKS'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match='nothing tells where the other machines are'):
        find_workplace(LoopSettings(nodes=2, device='cpu'))
