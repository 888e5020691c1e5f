"""Entropy minimisation and adversarial training: their formulas, and runs that stop and go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_recipe import GOLDEN, value
from tiny_run import tiny_settings, write_config, write_data
from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from training.cli import main
from training.methods.output_alignment import (
    Adversarial,
    Discriminator,
    MinEntropy,
    normalised_entropy,
)
from training.methods.settings import (
    AdversarialSettings,
    MinEntropySettings,
    SelfTrainingSettings,
)
from training.run.folder import RunFolder
from training.run.state_file import read_state

PUBLISHED_NAMES = ('conv1', 'conv2', 'conv3', 'conv4', 'classifier')
PUBLISHED_ENTROPY = 0.7323057651519775


@pytest.fixture(scope='module')
def golden() -> dict[str, np.ndarray]:
    """What the published code makes of given probabilities."""
    with np.load(GOLDEN / 'output_alignment.npz') as file:
        return dict(file)


def _batch() -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(0, 256, (2, 2, 3, 128, 128), generator=generator).byte()
    label = torch.randint(0, 19, (2, 128, 128), generator=generator).byte()
    valid = torch.ones(2, 128, 128, dtype=torch.uint8)
    return {
        'source': {'image': source, 'label': label},
        'target': {'image': target, 'valid': valid},
    }


def _adversarial(model: HRDA, **changes: Any) -> Adversarial:
    settings = AdversarialSettings(**changes)
    return Adversarial(model, SelfTrainingSettings(), settings, seed=3, iterations=10)


def test_entropy_equals_the_published_one(golden: dict[str, np.ndarray]) -> None:
    found = normalised_entropy(torch.from_numpy(golden['probabilities']))
    assert found.item() == pytest.approx(PUBLISHED_ENTROPY, rel=1e-6)


def test_entropy_is_between_decided_and_undecided() -> None:
    decided = torch.zeros(1, 4, 2, 2)
    decided[:, 1] = 1
    assert normalised_entropy(decided).item() == pytest.approx(0, abs=1e-6)
    assert normalised_entropy(torch.full((1, 4, 2, 2), 0.25)).item() == pytest.approx(1)


def test_discriminator_equals_the_published_one(golden: dict[str, np.ndarray]) -> None:
    network = Discriminator(19)
    own = network.state_dict()
    names = [f'{name}.{kind}' for name in PUBLISHED_NAMES for kind in ('weight', 'bias')]
    tensors = [
        value(f'discriminator.{name}', tuple(old.shape))
        for name, old in zip(names, own.values(), strict=True)
    ]
    network.load_state_dict(dict(zip(own, tensors, strict=True)))
    found = network(torch.from_numpy(golden['discriminator_input']))
    np.testing.assert_allclose(found.detach(), golden['discriminator_output'], atol=1e-4)


def test_loss_is_the_sum_of_source_losses_and_entropy(tiny_model: HRDA) -> None:
    settings = MinEntropySettings(weight=0.5)
    method = MinEntropy(tiny_model, SelfTrainingSettings(), settings, seed=3)
    found = method.step(_batch(), 0, Tensor.backward)
    assert set(found) == {'loss', 'source_fused', 'source_detail', 'entropy'}
    parts = found['source_fused'] + found['source_detail'] + found['entropy']
    assert found['loss'].item() == pytest.approx(parts.item(), rel=1e-6)
    assert 0 < found['entropy'].item() <= 0.5


def test_entropy_falls_when_it_alone_is_learnt(tiny_model: HRDA) -> None:
    method = MinEntropy(tiny_model, SelfTrainingSettings(), MinEntropySettings(1.0), seed=3)
    optimiser = torch.optim.AdamW(tiny_model.parameters(), 1e-3)
    values = []
    for _ in range(4):
        optimiser.zero_grad()
        torch.manual_seed(0)
        losses: list[Tensor] = []
        values.append(method.step(_batch(), 0, losses.append)['entropy'].item())
        losses[-1].backward()
        optimiser.step()
    assert values[-1] < values[0]


def test_probabilities_have_half_the_size_with_two_resolutions(tiny_model: HRDA) -> None:
    single = HRDA(Architecture('mit_b0', 8, 8, attention='none', context_size=128), CITYSCAPES)
    sizes = []
    for model in (tiny_model, single):
        method = _adversarial(model)
        method.discriminator.register_forward_pre_hook(
            lambda _, inputs: sizes.append(tuple(inputs[0].shape[-2:]))
        )
        method.step(_batch(), 0, Tensor.backward)
    assert sizes == [(64, 64)] * 3 + [(128, 128)] * 3


def test_student_learns_from_the_discriminator_and_not_the_other_way_round(
    tiny_model: HRDA,
) -> None:
    method = _adversarial(tiny_model)
    before = [p.detach().clone() for p in method.discriminator.parameters()]
    seen: list[tuple[bool, bool]] = []

    def backward(loss: Tensor) -> None:
        loss.backward()
        of_student = any(p.grad is not None for p in tiny_model.parameters())
        seen.append(
            (of_student, any(p.grad is not None for p in method.discriminator.parameters()))
        )

    method.step(_batch(), 0, backward)
    assert all(map(torch.equal, before, method.discriminator.parameters()))
    method.finish_step(0)
    assert seen == [(True, False), (True, False)]
    student_gradients = [p.grad.clone() for p in tiny_model.parameters() if p.grad is not None]
    moved = zip(before, method.discriminator.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in moved)
    assert student_gradients, 'and its own training has left the student alone'


def test_discriminator_tells_the_domains_apart_after_a_few_steps(tiny_model: HRDA) -> None:
    torch.manual_seed(0)
    method = _adversarial(tiny_model, discriminator_lr=1e-3)
    source, target = torch.zeros(2, 2, 19, 64, 64)
    source[:, 0] = target[:, 1] = 1
    losses = []
    for _ in range(12):
        losses.append(method._teach_discriminator(source, target, 0).item())
        method.finish_step(0)
    assert losses[-1] < losses[0] / 2


def test_rate_of_the_discriminator_falls_to_zero(tiny_model: HRDA) -> None:
    method = _adversarial(tiny_model)
    rates = []
    for step in (0, 5, 10):
        method.step(_batch(), step, lambda loss: None)
        method.finish_step(step)
        rates.append(method._optimiser.param_groups[0]['lr'])
    assert rates == pytest.approx([1e-4, 1e-4 * 0.5**0.9, 0])


@pytest.mark.parametrize('change', [{'weight': 0.0}, {'discriminator_lr': -1.0}, {'power': 0.0}])
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f'adversarial.{next(iter(change))}'):
        AdversarialSettings(**change)


@pytest.mark.parametrize('name', ['min_entropy', 'adversarial'])
def test_a_run_that_stops_goes_on_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_data(tmp_path)
    whole, split = tmp_path / 'whole', tmp_path / 'split'
    settings = tiny_settings(tmp_path, whole, method=name, loop__iterations=3)
    # Long enough that the rates of both runs are those of one schedule.
    settings['optimiser'] = {'name': 'sgd', 'lr': 2.5e-3, 'schedule': 'constant'}
    settings['adversarial'] = {'power': 1e-9}
    settings['loop']['checkpoint_every'] = 1
    config = str(write_config(tmp_path / 'config.yaml', settings))
    assert main(['train', config]) == 0
    assert main(['train', config, f'--output={split}', '--loop.iterations=2']) == 0
    assert main(['train', '--resume', str(split), '--loop.iterations=3']) == 0
    first, second = (read_state(RunFolder(run).state)['method'] for run in (whole, split))
    for network in set(first) - {'discriminator_optimiser'}:
        for key, tensor in first[network].items():
            assert torch.equal(tensor, second[network][key]), key
