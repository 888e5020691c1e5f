"""Parameter groups and learning-rate schedule against the published run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.encoders import Encoder
from hrda_core.hrda import HRDA
from hrda_core.published import local_name
from training.run.optimiser import (
    build_optimiser,
    parameter_groups,
    rate_factor,
    set_learning_rate,
)
from training.settings.run import OptimiserSettings

GOLDEN = json.loads((Path(__file__).parents[1] / 'golden' / 'optimiser.json').read_text())
SMALL = Architecture('mit_b0', 16, 16, 16)


def test_groups_of_mit_b0_equal_the_published_ones() -> None:
    model = HRDA(SMALL, CITYSCAPES)
    rules = {}
    for group in parameter_groups(model, OptimiserSettings()):
        for parameter in group['params']:
            rules[id(parameter)] = (group['lr'], group['weight_decay'])
    found = {n: rules[id(p)] for n, p in model.named_parameters() if n.startswith('encoder.')}
    published = GOLDEN['encoder'].items()
    assert found == {local_name(f'backbone.{name}'): tuple(rule) for name, rule in published}
    heads = [p for name, p in model.named_parameters() if not name.startswith('encoder.')]
    assert len(heads) == GOLDEN['heads']
    assert all(rules[id(p)] == pytest.approx(GOLDEN['head_values']) for p in heads)


def test_group_sizes_of_mit_b0() -> None:
    groups = parameter_groups(HRDA(SMALL, CITYSCAPES), OptimiserSettings())
    sizes = {group['name']: len(group['params']) for group in groups}
    assert sizes == {'encoder': 116, 'encoder_norms': 60, 'heads': 47}


@pytest.mark.parametrize('name', ['tf_efficientnet_lite0', 'convnext_atto', 'tiny_vit_5m_224'])
def test_normalisation_of_any_encoder_is_not_decayed(name: str) -> None:
    model = nn.Module()
    model.encoder = Encoder(name)
    groups = {g['name']: g for g in parameter_groups(model, OptimiserSettings())}
    decayed_vectors = {
        key
        for key, p in model.encoder.named_parameters()
        if p.ndim == 1 and any(p is q for q in groups['encoder']['params'])
    }
    assert groups['encoder_norms']['weight_decay'] == 0
    assert not any('norm' in key or '.bn' in key for key in decayed_vectors)
    assert all(p.ndim == 1 for p in groups['encoder_norms']['params'])
    total = sum(len(g['params']) for g in groups.values())
    assert total == len(list(model.encoder.parameters()))


def test_frozen_parameters_are_left_out() -> None:
    model = HRDA(SMALL, CITYSCAPES)
    model.encoder.requires_grad_(False)
    groups = parameter_groups(model, OptimiserSettings())
    assert [group['name'] for group in groups] == ['heads']


def test_norms_can_be_decayed() -> None:
    groups = parameter_groups(HRDA(SMALL, CITYSCAPES), OptimiserSettings(decay_norms=True))
    assert {group['weight_decay'] for group in groups} == {0.01}


def test_schedule_equals_the_published_one() -> None:
    settings = OptimiserSettings()
    rates = {i: settings.lr * rate_factor(int(i), 40000, settings) for i in GOLDEN['lr_at_iter']}
    assert rates == pytest.approx(GOLDEN['lr_at_iter'], rel=1e-12)


def test_constant_schedule_stays() -> None:
    settings = OptimiserSettings(schedule='constant', warmup_steps=0)
    assert {rate_factor(step, 10, settings) for step in range(10)} == {1.0}


@pytest.mark.parametrize('name', ['adamw', 'sgd'])
def test_heads_learn_faster_at_every_step(name: Any) -> None:
    optimiser = build_optimiser(HRDA(SMALL, CITYSCAPES), OptimiserSettings(name=name, lr=0.01))
    set_learning_rate(optimiser, 0.5)
    rates = {group['name']: group['lr'] for group in optimiser.param_groups}
    assert rates == pytest.approx({'encoder': 0.005, 'encoder_norms': 0.005, 'heads': 0.05})
    assert isinstance(optimiser, torch.optim.AdamW if name == 'adamw' else torch.optim.SGD)


@pytest.mark.parametrize('change', [{'lr': 0}, {'weight_decay': -1}, {'warmup_steps': -1}])
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        OptimiserSettings(**change)
