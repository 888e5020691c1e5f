"""What the loop looks at between the last backward pass and the optimiser's step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch

from hrda_core.checkpoints import read_tensors
from training.cli import main
from training.methods.source_only import SourceOnly
from training.run.folder import RunFolder
from training.run.loop import TrainingLoop

ONE_STEP = {'method': 'source_only', 'loop__iterations': 1, 'loop__log_every': 1}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    tiny_run.write_data(tmp_path / 'data')
    return tmp_path / 'data'


def train(data: Path, run: Path, **changes: Any) -> int:
    settings = tiny_run.plain_settings(data, run, **(ONE_STEP | changes))
    return main(['train', str(tiny_run.write_config(run.with_suffix('.yaml'), settings))])


@pytest.fixture
def infinite_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite losses, one of whose gradients is not."""
    step = SourceOnly.step

    def poisoned(method: SourceOnly, *rest: Any) -> Any:
        terms = step(method, *rest)
        next(p for p in method.student.parameters() if p.grad is not None).grad.fill_(torch.inf)
        return terms

    monkeypatch.setattr(SourceOnly, 'step', poisoned)


@pytest.mark.usefixtures('infinite_gradients')
def test_infinite_gradients_of_a_finite_loss_stop_with_names(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / 'run') == 1
    folder = RunFolder(tmp_path / 'run')
    text = folder.log_file.read_text()
    assert 'step 1: grad_norm = inf' in text and 'images/0' in text
    assert folder.failed_state.is_file()


@pytest.mark.usefixtures('infinite_gradients')
def test_a_scaler_may_leave_a_step_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fp16 a step with infinite gradients is how the scaler finds its scale."""
    monkeypatch.setattr(TrainingLoop, '_scales_losses', True)
    assert train(data, tmp_path / 'run') == 0
    assert 'grad_norm' not in RunFolder(tmp_path / 'run').metrics.read_text()


def test_clipped_gradients_move_the_weights_by_no_more(data: Path, tmp_path: Path) -> None:
    sgd = {'name': 'sgd', 'warmup_steps': 0, 'weight_decay': 0.0, 'head_lr_multiplier': 1.0}
    weights = []
    for name, lr in (('start', 1e-12), ('moved', 1.0)):
        optimiser = sgd | {'lr': lr, 'clip_norm': 0.01}
        assert train(data, tmp_path / name, optimiser=optimiser) == 0
        weights.append(read_tensors(RunFolder(tmp_path / name).model))
    squares = [float((weights[1][name] - weights[0][name]).square().sum()) for name in weights[0]]
    assert sum(squares) ** 0.5 == pytest.approx(0.01, rel=1e-3)
