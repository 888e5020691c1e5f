"""The memory of a training step, told without allocating it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from training.data.settings import SourceSettings, TargetSettings
from training.memory.estimate import estimate
from training.memory.live_bytes import LiveBytes, ReducedPrecision
from training.settings.run import LoopSettings, ModelSettings, TrainSettings

SMALL = {'head_channels': 8, 'embed_channels': 8, 'attention_embed_channels': 8}


def settings(**changes: Any) -> TrainSettings:
    model = ModelSettings('mit_b0', **SMALL, context_size=128, detail_size=64, encoder_weights='x')
    loop = LoopSettings(device='cpu')
    run = TrainSettings(SourceSettings('s'), 'run', TargetSettings('t'), model=model, loop=loop)
    return replace(run, **changes)


def test_tensors_are_counted_once_and_forgotten() -> None:
    with LiveBytes((8,)) as counted:
        a = torch.empty(2, 3, 8, 8, device='meta')
        b = a.flatten()[1:] + a.flatten()[1:]
        assert counted.live == counted.peak == 4 * (384 + 383)
        assert counted.peak_full_size == 4 * 384
        del a, b
    assert counted.live == 0


def test_products_keep_half_the_bytes_in_bf16() -> None:
    layer, images = torch.nn.Linear(8, 8).to('meta'), torch.empty(4, 8, device='meta')
    with ReducedPrecision(torch.bfloat16):
        product = layer(images)
        assert product.dtype == torch.bfloat16
        assert product.softmax(dim=1).dtype == torch.float32


def test_parts_of_known_size_are_exact() -> None:
    run = settings()
    found = estimate(run)
    with torch.device('meta'):
        model = HRDA(run.model.architecture(), CITYSCAPES)
    learnt = 4 * sum(p.numel() for p in model.parameters())
    encoder = 4 * sum(p.numel() for p in model.encoder.parameters())
    assert (found.gradients, found.optimiser) == (learnt, 2 * learnt)
    assert found.feature_encoder == encoder
    assert learnt <= found.weights == found.teacher < learnt + 40_000
    assert found.total == sum(found.parts.values())
    assert f'about {found.total / 1e9:.2f} GB' in str(found)


@pytest.mark.parametrize('method', ['source_only', 'masked_consistency', 'adversarial'])
def test_every_method_can_be_estimated(method: Any) -> None:
    found = estimate(settings(method=method))
    assert found.activations > 0 and found.full_size > 0
    assert (found.teacher > 0) == (method == 'masked_consistency')


def test_activations_grow_with_the_crop_and_shrink_with_the_precision() -> None:
    run = settings(method='source_only')
    large = replace(run, model=replace(run.model, context_size=256, detail_size=128))
    half = replace(large, loop=replace(run.loop, precision='bf16'))
    small, whole, reduced = (estimate(r).activations for r in (run, large, half))
    assert 3 < whole / small < 5
    assert 0.5 < reduced / whole < 0.85


def test_recomputation_keeps_less() -> None:
    run = settings(method='source_only')
    recomputed = replace(run, loop=replace(run.loop, gradient_checkpointing=True))
    assert estimate(recomputed).activations < 0.5 * estimate(run).activations
