"""Masked image consistency: its masks, its loss, and a run that stops and goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import tiny_settings, write_config, write_data
from torch import Tensor

from hrda_core.hrda import HRDA
from training.cli import main
from training.methods.masked_consistency import MaskedConsistency, hide_blocks
from training.methods.self_training import SelfTraining
from training.methods.settings import MaskedConsistencySettings, SelfTrainingSettings
from training.methods.teacher import PseudoLabels
from training.run.folder import RunFolder
from training.run.state_file import read_state

SETTINGS = SelfTrainingSettings(pseudo_threshold=0.0)


def _method(model: HRDA, **changes: Any) -> MaskedConsistency:
    masking = MaskedConsistencySettings(**{'block_size': 32, **changes})
    return MaskedConsistency(model, SETTINGS, masking, seed=3, pretrained_encoder=False)


def _batch() -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 128, 128), generator=generator).to(torch.uint8)
    label = torch.randint(0, 19, (2, 128, 128), generator=generator).to(torch.uint8)
    valid = torch.ones(2, 128, 128, dtype=torch.uint8)
    return {'source': {'image': image, 'label': label}, 'target': {'image': image, 'valid': valid}}


def test_hidden_blocks_are_zero_and_others_untouched() -> None:
    images = torch.ones(1, 3, 50, 40)
    kept = torch.tensor([[[True, False], [False, True]]])
    masked = hide_blocks(images, kept, 32)
    assert masked.shape == images.shape
    assert masked[:, :, :32, :32].min() == 1
    assert masked[:, :, 32:, 32:].min() == 1
    assert masked[:, :, :32, 32:].max() == 0
    assert masked[:, :, 32:, :32].max() == 0


def test_the_ratio_is_the_share_of_hidden_blocks(tiny_model: HRDA) -> None:
    method = _method(tiny_model, block_size=2, ratio=0.7)
    kept = method.draw_mask(torch.zeros(2, 3, 128, 128), 0).kept
    assert kept.shape == (2, 64, 64)
    assert kept.mean() == pytest.approx(0.3, abs=0.02)


def test_masks_differ_between_steps_and_images_and_repeat(tiny_model: HRDA) -> None:
    images = torch.zeros(2, 3, 128, 128)
    first, second, again = (_method(tiny_model).draw_mask(images, step) for step in (4, 5, 4))
    assert (first.kept != second.kept).any()
    assert (first.kept[0] != first.kept[1]).any()
    assert (first.kept == again.kept).all()
    assert first.box == again.box


def test_other_losses_are_those_of_self_training(tiny_model: HRDA) -> None:
    plain = SelfTraining(tiny_model, SETTINGS, seed=3, pretrained_encoder=False)
    masked = _method(tiny_model)
    torch.manual_seed(0)
    without = plain.step(_batch(), 0, lambda loss: None)
    torch.manual_seed(0)
    found = masked.step(_batch(), 0, lambda loss: None)
    assert set(found) - set(without) == {'masked_fused', 'masked_detail'}
    shared = set(without) - {'loss'}
    assert {name: found[name].item() for name in shared} == {
        name: without[name].item() for name in shared
    }
    parts = [value for name, value in found.items() if name not in ('loss', 'pseudo_quality')]
    assert found['loss'].item() == pytest.approx(torch.stack(parts).sum().item(), rel=1e-5)


def test_pixels_without_weight_teach_nothing(tiny_model: HRDA) -> None:
    method = _method(tiny_model)
    labels = torch.zeros(2, 128, 128, dtype=torch.uint8)
    pseudo = PseudoLabels(labels, torch.zeros(2, 128, 128), torch.tensor(0.0))
    losses = method.target_losses(torch.randn(2, 3, 128, 128), pseudo, 0, Tensor.backward)
    assert all(loss.item() == 0 for loss in losses.values())


def test_the_weight_scales_the_loss(tiny_model: HRDA) -> None:
    losses = []
    for weight in (1.0, 0.25):
        torch.manual_seed(0)
        found = _method(tiny_model, weight=weight).step(_batch(), 0, lambda loss: None)
        losses.append(found['masked_fused'].item())
    assert losses[1] == pytest.approx(losses[0] / 4, rel=1e-5)


@pytest.mark.parametrize('change', [{'block_size': 0}, {'ratio': 1.5}, {'weight': 0.0}])
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f'masked_consistency.{next(iter(change))}'):
        dataclasses.replace(MaskedConsistencySettings(), **change)


def test_a_run_that_stops_goes_on_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_data(tmp_path)
    whole, split = tmp_path / 'whole', tmp_path / 'split'
    for run, steps in ((whole, 3), (split, 2)):
        settings = tiny_settings(
            tmp_path,
            run,
            method='masked_consistency',
            validation=None,
            optimiser__schedule='constant',
            loop__iterations=steps,
        )
        settings['masked_consistency'] = {'block_size': 16}
        assert main(['train', str(write_config(tmp_path / 'config.yaml', settings))]) == 0
    assert main(['train', '--resume', str(split), '--loop.iterations=3']) == 0
    states = [read_state(RunFolder(run).state)['method'] for run in (whole, split)]
    for network in ('student', 'teacher'):
        for name, value in states[0][network].items():
            assert torch.equal(value, states[1][network][name]), name
