"""Three iterations of self-training equal those of the published code."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from official_recipe import GOLDEN, read_shapes, value
from torch import Tensor

from hrda_core.checkpoints import load_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.published import import_published
from hrda_core.windows import Box
from training.methods.self_training import SelfTraining, StepDraws
from training.methods.settings import SelfTrainingSettings
from training.run.optimiser import build_optimiser
from training.settings.run import OptimiserSettings

LOSSES = ('source_fused', 'source_detail', 'feature_distance', 'mix_fused', 'mix_detail')


@pytest.fixture(scope='module')
def golden() -> dict[str, np.ndarray]:
    """Inputs of three iterations, and tensors that the published code made of them."""
    with np.load(GOLDEN / 'self_training.npz') as file:
        return dict(file)


@pytest.fixture(scope='module')
def published() -> dict[str, Any]:
    """Draws and scalars of the same iterations."""
    return json.loads((GOLDEN / 'self_training.json').read_text())


@pytest.fixture(scope='module')
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HRDA]:
    """Student, teacher and ImageNet model with the weights of the golden numbers."""
    shapes = read_shapes(GOLDEN / 'keys_mit_b0_64.txt')
    folder = tmp_path_factory.mktemp('networks')
    loaded = {}
    for prefix in ('model.', 'ema_model.', 'imnet_model.'):
        tensors = {f'model.{key}': value(prefix + key, shapes[key]) for key in shapes}
        torch.save({'state_dict': tensors}, folder / 'published.pth')
        import_published(folder / 'published.pth', folder / 'model.safetensors')
        loaded[prefix] = load_model(folder / 'model.safetensors')
    return loaded


def _published_method(networks: dict[str, HRDA]) -> SelfTraining:
    # Images of the golden data are normalised already, hence mean 0 and deviation 1.
    architecture = replace(
        networks['model.'].architecture,
        context_size=128,
        detail_size=64,
        drop_path=0.0,
        dropout=0.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    student = HRDA(architecture, CITYSCAPES)
    student.load_state_dict(networks['model.'].state_dict())
    settings = SelfTrainingSettings(pseudo_threshold=0.5)
    method = SelfTraining(student, settings, seed=0, pretrained_encoder=True)
    method.teacher.model.load_state_dict(networks['ema_model.'].state_dict())
    assert method.feature_encoder is not None
    method.feature_encoder.load_state_dict(networks['imnet_model.'].encoder.state_dict())
    return method


def _published_batch(golden: dict[str, np.ndarray], step: int) -> dict[str, dict[str, Tensor]]:
    tensors = {name: torch.from_numpy(golden[name][step]) for name in ('img', 'trg')}
    return {
        'source': {
            'image': tensors['img'].float(),
            'label': torch.from_numpy(golden['lab'][step]),
        },
        'target': {
            'image': tensors['trg'].float(),
            'valid': torch.from_numpy(golden['valid'][step]),
        },
    }


def _published_draws(published: dict[str, Any], step: int) -> StepDraws:
    boxes = [Box(*box) for box in published['boxes_source_then_mix'][step]]
    return StepDraws(*boxes, tuple(tuple(classes) for classes in published['classes'][step]))


def _gradient_norm(model: HRDA) -> float:
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    return torch.stack(squares).sum().sqrt().item()


# Relative, by iteration: of source losses, mixed losses, norm of the gradient. One target pixel
# that crosses the threshold moves the mixed losses by 3e-4, which rounding alone brings about once
# it has been through two optimiser steps; AdamW's third gradient then differs by up to 2.6e-3.
TOLERANCES = {
    'sgd': ((1e-5, 1e-5, 1e-4), (1e-5, 2e-5, 1e-3), (1e-4, 1e-3, 1e-3)),
    'adamw': ((1e-5, 1e-5, 1e-4), (1e-4, 1e-3, 1e-3), (1e-3, 2e-3, 5e-3)),
}


def test_feature_distance_of_the_networks_equals_published(
    ops: dict[str, np.ndarray], figures: dict[str, Any], networks: dict[str, HRDA]
) -> None:
    method = _published_method(networks)
    images = torch.from_numpy(ops['fd_img'])
    labels = torch.from_numpy(ops['fd_gtb'][:, 0])
    small = method.student.shrink(images)
    # Evaluation mode as in the published figures; this encoder has no batch norm.
    encoder = method.student.encoder.eval()
    features = encoder(small)
    assert np.allclose(features[-1].detach().numpy(), ops['fd_student_f3'], atol=1e-4)
    distance = method._feature_distance(features, small, labels)
    distance.backward()
    expected = figures['fd_loss_times_lambda0.005']
    assert distance.item() == pytest.approx(expected, rel=1e-5)
    norm = _gradient_norm(method.student)
    assert norm == pytest.approx(figures['fd_grad_norm_backbone'], rel=1e-4)
    both = distance + method._feature_distance(encoder(images), images, labels)
    expected = figures['fd_loss_all_scales_times_lambda0.005']
    assert both.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('optimiser', ['sgd', 'adamw'])
def test_three_iterations_equal_published(
    golden: dict[str, np.ndarray],
    published: dict[str, Any],
    networks: dict[str, HRDA],
    optimiser: str,
) -> None:
    method = _published_method(networks)
    if optimiser == 'sgd':
        parameters = method.student.parameters()
        steps = torch.optim.SGD(parameters, lr=0.005, momentum=0.9, weight_decay=5e-4)
    else:
        steps = build_optimiser(method.student, OptimiserSettings(lr=6e-4))
    for step, expected in enumerate(published['runs'][optimiser]):
        steps.zero_grad()
        draws = _published_draws(published, step)
        found = method.step(_published_batch(golden, step), step, Tensor.backward, draws=draws)
        source, mixed, gradient = TOLERANCES[optimiser][step]
        for name in LOSSES:
            tolerance = mixed if name.startswith('mix') else source
            assert found[name].item() == pytest.approx(expected[name], rel=tolerance), name
        assert found['pseudo_quality'].item() == pytest.approx(
            expected['pseudo_quality'], abs=5e-4
        )
        norm = _gradient_norm(method.student)
        assert norm == pytest.approx(expected['gradient_norm'], rel=gradient)
        steps.step()
    if optimiser == 'sgd':
        _check_final(golden, method)


def _check_final(golden: dict[str, np.ndarray], method: SelfTraining) -> None:
    states = {
        'student': method.student.state_dict(),
        'teacher': method.teacher.model.state_dict(),
    }
    keys = [key for key in golden if key.startswith('sgd_final/')]
    assert len(keys) == 30
    for key in keys:
        _, network, name = key.split('/')
        assert np.allclose(states[network][name].numpy(), golden[key], atol=1e-4), key


def test_labels_and_mixture_equal_published(
    golden: dict[str, np.ndarray], published: dict[str, Any], networks: dict[str, HRDA]
) -> None:
    method = _published_method(networks)
    method.teacher.update(method.student, 0)
    batch = _published_batch(golden, 0)
    source, target = batch['source'], batch['target']
    logits = method.teacher.model.predict(target['image']).detach()[..., ::4, ::4]
    assert np.abs(logits.numpy() - golden['it0_teacher_logits']).max() < 1e-4
    pseudo = method.teacher.label(target['image'], target['valid'], 0.5)
    assert (pseudo.labels.numpy() != golden['it0_pseudo_label']).sum() <= 1
    draws = _published_draws(published, 0)
    mixture = method.mix(source['image'], source['label'], target['image'], pseudo, draws)
    assert (mixture.labels.numpy() != golden['it0_mixed_label']).sum() <= 1
    assert np.allclose(mixture.weights.numpy(), golden['it0_weight'], atol=2e-4)
