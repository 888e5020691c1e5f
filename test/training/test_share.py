"""A step in several shares learns what one large batch teaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch

from hrda_core.checkpoints import read_tensors
from training.cli import main
from training.run.folder import RunFolder
from training.run.share import Share
from training.run.state_file import read_state


def train(data: Path, run: Path, **changes: Any) -> RunFolder:
    settings = tiny_run.plain_settings(data, run, **changes)
    config = tiny_run.write_config(run.with_suffix('.yaml'), settings)
    assert main(['train', str(config)]) == 0
    return RunFolder(run)


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_shares_cut_the_slots_without_gap_or_overlap() -> None:
    shares = [Share(part, 3) for part in range(3)]
    assert [slot for share in shares for slot in share.slots(2)] == list(range(6))
    assert {share.total(2) for share in shares} == {6}
    assert [share.begins_step for share in shares] == [True, False, False]


@pytest.mark.parametrize('method', ['masked_consistency', 'adversarial'])
def test_two_batches_of_one_are_one_batch_of_two(data: Path, tmp_path: Path, method: str) -> None:
    whole = train(data, tmp_path / 'whole', method=method)
    parts = train(data, tmp_path / 'parts', method=method, **tiny_run.TWO_BATCHES_OF_ONE)
    start = train(data, tmp_path / 'start', method=method, optimiser__lr=1e-12)
    weights = [read_tensors(folder.model) for folder in (whole, parts, start)]
    moved = largest_difference(weights[0], weights[2])
    assert moved > 1e-3
    assert largest_difference(weights[0], weights[1]) < 1e-3 * moved
    if method == 'adversarial':
        told = [read_state(folder.state)['method']['discriminator'] for folder in (whole, parts)]
        assert largest_difference(*told) < 1e-5
