"""The benchmark of a training step: both orders of work compute the same, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from training.benchmark.published_network import PublishedNetwork
from training.benchmark.published_step import PublishedStep, square_blur
from training.benchmark.training_contenders import synthetic_batch
from training.benchmark.training_step import add_arguments, bench_settings
from training.cli import CommandParser, main
from training.data.batch_transforms import gaussian_blur
from training.methods.self_training import SelfTraining

SMALL = [
    '--encoder=mit_b0',
    '--context=128',
    '--detail=64',
    '--channels=8',
    '--batch=1',
    '--device=cpu',
]


def _settings():
    parser = CommandParser()
    add_arguments(parser)
    return bench_settings(parser.parse_args(SMALL))


def test_the_published_order_computes_the_losses_of_self_training() -> None:
    settings = _settings()

    def method() -> SelfTraining:
        torch.manual_seed(0)
        student = HRDA(settings.model.architecture(), CITYSCAPES)
        return SelfTraining(student, settings.self_training, seed=0, pretrained_encoder=True)

    batch, plain, ours = synthetic_batch(settings), method(), method()
    torch.manual_seed(1)
    published = PublishedStep(plain, settings.optimiser)(batch, 0)
    torch.manual_seed(1)
    found = ours.step(batch, 0, torch.Tensor.backward)
    for name, parts in (('source', ('fused', 'detail')), ('mix', ('fused', 'detail'))):
        total = sum(found[f'{name}_{part}'].item() for part in parts)
        assert published[name] == pytest.approx(total, rel=1e-5)
    assert published['feature_distance'] == pytest.approx(found['feature_distance'].item(), 1e-4)


def test_the_published_order_writes_attention_out() -> None:
    settings = _settings()
    model = HRDA(settings.model.architecture(), CITYSCAPES)
    PublishedNetwork(model)
    switches = [m.fused_attn for m in model.encoder.modules() if hasattr(m, 'fused_attn')]
    assert switches and not any(switches)


def test_the_square_kernel_blurs_like_two_passes() -> None:
    images = torch.rand(2, 3, 64, 48)
    assert torch.allclose(
        square_blur(images, [0.3, 1.1]), gaussian_blur(images, [0.3, 1.1]), atol=1e-5
    )


def test_the_command_measures_both_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'figures.json'
    code = main(['bench', 'train', *SMALL, '--steps=1', '--workers=0', f'--json={file}'])
    assert code == 0
    figures = json.loads(file.read_text())
    for name in ('published', 'hrda_ros'):
        assert len(figures[name]['seconds']) == 1
        assert figures[name]['peak_bytes'] > figures[name]['before_bytes'] > 0
    assert figures['ratios']['speed'] > 0 and figures['loading']['images_per_s'] > 0
    assert 'ratio' in capsys.readouterr().out


def test_impossible_sizes_are_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['bench', 'train', '--steps=0']) == 1
    assert '--steps 0 must be at least 1' in capsys.readouterr().err
