"""What a step of self-training does, computes and refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.windows import Box
from training.data.settings import SourceSettings, TargetSettings
from training.methods import build_method
from training.methods.losses import feature_distance
from training.methods.self_training import SelfTraining, StepDraws
from training.methods.settings import SelfTrainingSettings
from training.methods.source_only import SourceOnly
from training.settings.run import TrainSettings

SETTINGS = SelfTrainingSettings()
LOSSES = ('source_fused', 'source_detail', 'feature_distance', 'mix_fused', 'mix_detail')


def _batch(size: int = 128) -> dict[str, dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)

    def numbers(high: int, *shape: int) -> Tensor:
        return torch.randint(0, high, shape, generator=generator).to(torch.uint8)

    label = torch.full((2, size, size), 13, dtype=torch.uint8)
    label[:, : size // 2] = numbers(19, 2, size // 2, size)
    return {
        'source': {'image': numbers(256, 2, 3, size, size), 'label': label},
        'target': {
            'image': numbers(256, 2, 3, size, size),
            'valid': torch.ones(2, size, size, dtype=torch.uint8),
        },
    }


def _method(model: HRDA, **changes: Any) -> SelfTraining:
    settings = replace(SETTINGS, **changes)
    return SelfTraining(model, settings, seed=3, pretrained_encoder=True)


def test_a_step_is_repeatable_from_its_number(tiny_model: HRDA) -> None:
    method = _method(tiny_model, pseudo_threshold=0.0)
    results = []
    for step in (5, 6, 5):
        torch.manual_seed(0)  # dropout and drop path
        # Step 5 and 6 average the teacher a second time, so it starts anew.
        method.teacher.update(method.student, 0)
        results.append(method.step(_batch(), step, Tensor.backward))
    assert all(torch.equal(results[0][name], results[2][name]) for name in results[0])
    assert results[0]['loss'] != results[1]['loss']


def test_draws_follow_the_settings(tiny_model: HRDA) -> None:
    images, labels = torch.zeros(2, 3, 128, 128), torch.zeros(2, 128, 128, dtype=torch.uint8)
    always = _method(tiny_model, jitter_probability=1.0, blur_probability=1.0)
    never = _method(tiny_model, jitter_probability=0.0, blur_probability=0.0, class_mix=False)
    for step in range(20):
        drawn = always.draw(images, labels, step)
        assert drawn.jitter is not None and drawn.blur is not None
        for box in (drawn.source_box, drawn.mix_box):
            assert box is not None and box.height == box.width == 64
            assert box.y1 % 8 == box.x1 % 8 == 0
        plain = never.draw(images, labels, step)
        assert (plain.jitter, plain.blur, plain.classes) == (None, None, ((), ()))


def test_boxes_differ_between_steps_and_between_source_and_mix(tiny_model: HRDA) -> None:
    images, labels = torch.zeros(1, 3, 128, 128), torch.zeros(1, 128, 128, dtype=torch.uint8)
    method = _method(tiny_model)
    drawn = [method.draw(images, labels, step) for step in range(30)]
    assert len({draw.source_box for draw in drawn}) > 10
    assert sum(draw.source_box != draw.mix_box for draw in drawn) > 20


def test_margins_and_class_mix_off_learn_nothing_from_the_mixture(tiny_model: HRDA) -> None:
    batch = _batch()
    batch['target']['valid'].zero_()
    losses = _method(tiny_model, class_mix=False).step(batch, 0, Tensor.backward)
    assert losses['mix_fused'] == losses['mix_detail'] == 0


def test_blur_and_jitter_keep_the_range_of_images(tiny_model: HRDA) -> None:
    method = _method(tiny_model, jitter_probability=1.0, blur_probability=1.0)
    method.step(_batch(), 0, Tensor.backward)
    panels = method.panels()
    labels = {'source_label', 'mix_label', 'pseudo_label', 'pseudo_weight'}
    assert set(panels) == {'source', 'target', 'mix', *labels}
    assert all(p.shape == (128, 128, 3) and p.dtype == np.uint8 for p in panels.values())
    assert 0 < panels['mix'].mean() < 255


def test_gradients_reach_the_student_alone(tiny_model: HRDA) -> None:
    method = _method(tiny_model)
    method.step(_batch(), 0, Tensor.backward)
    assert all(parameter.grad is not None for parameter in method.student.parameters())
    assert all(parameter.grad is None for parameter in method.teacher.model.parameters())
    assert method.feature_encoder is not None
    assert all(parameter.grad is None for parameter in method.feature_encoder.parameters())
    assert not method.feature_encoder.training


def test_loss_is_the_sum_of_its_parts(tiny_model: HRDA) -> None:
    found = _method(tiny_model, pseudo_threshold=0.0).step(_batch(), 0, Tensor.backward)
    assert set(found) == {*LOSSES, 'loss', 'pseudo_quality'}
    assert found['loss'].item() == pytest.approx(sum(found[n].item() for n in LOSSES), rel=1e-6)
    assert not any(figure.requires_grad for figure in found.values())


def _run(method: str) -> TrainSettings:
    return TrainSettings(SourceSettings('s'), 'run', TargetSettings('t'), method=method)  # type: ignore[arg-type]


def test_feature_distance_is_off_without_pretrained_weights(tiny_model: HRDA) -> None:
    method = build_method(_run('self_training'), tiny_model, pretrained_encoder=False)
    assert 'feature distance is off' in method.notes[0]
    assert 'feature_distance' not in method.step(_batch(), 0, Tensor.backward)


def test_state_round_trip(tiny_model: HRDA) -> None:
    method = _method(tiny_model)
    method.step(_batch(), 0, Tensor.backward)
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.add_(0.1)
    method.teacher.update(method.student, 3)
    other = _method(HRDA(tiny_model.architecture, CITYSCAPES))
    other.load_state_dict(method.state_dict())
    saved, restored = method.state_dict(), other.state_dict()
    assert saved.pop('teacher_updates') == restored.pop('teacher_updates') == 4
    assert saved.keys() == restored.keys() == {'student', 'teacher', 'feature_encoder'}
    for network, tensors in saved.items():
        assert all(torch.equal(tensors[name], restored[network][name]) for name in tensors)


def test_state_with_other_feature_distance_is_refused(tiny_model: HRDA) -> None:
    state = _method(tiny_model).state_dict()
    with pytest.raises(ValueError, match='feature_distance_weight'):
        _method(tiny_model, feature_distance_weight=0.0).load_state_dict(state)


def test_source_only_has_the_source_losses_of_self_training(tiny_model: HRDA) -> None:
    box, batch = Box(8, 72, 16, 80), _batch()
    torch.manual_seed(0)
    alone = SourceOnly(tiny_model, SETTINGS, seed=3).step(batch, 0, Tensor.backward, box=box)
    torch.manual_seed(0)
    draws = StepDraws(box, box, ((), ()))
    both = _method(tiny_model).step(batch, 0, Tensor.backward, draws=draws)
    for name in ('source_fused', 'source_detail'):
        assert alone[name].item() == pytest.approx(both[name].item(), rel=1e-5)


def test_single_resolution_network_trains(tmp_path: Path) -> None:
    architecture = Architecture(
        'mit_b0', head_channels=8, embed_channels=8, attention='none', context_size=128
    )
    found = _method(HRDA(architecture, CITYSCAPES)).step(_batch(), 0, Tensor.backward)
    assert set(found) == {
        'source_fused', 'feature_distance', 'mix_fused', 'loss', 'pseudo_quality'
    }  # fmt: skip


def test_equal_crop_sizes_switch_on_the_context_loss(tiny_model: HRDA) -> None:
    model = HRDA(replace(tiny_model.architecture, context_size=64), CITYSCAPES)
    found = _method(model).step(_batch(64), 0, Tensor.backward)
    assert {'source_context', 'mix_context'} <= set(found)


def test_equal_crop_sizes_keep_both_resolutions_close_to_their_features(
    tiny_model: HRDA,
) -> None:
    model = HRDA(
        replace(tiny_model.architecture, context_size=64, drop_path=0.0, dropout=0.0), CITYSCAPES
    )
    method = _method(model, feature_distance_weight=1.0)
    reference = method.feature_encoder
    assert reference is not None
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.mul_(1.1)
    batch = _batch(64)
    batch['source']['label'][:] = 13
    found = method.step(batch, 0, lambda loss: None)['feature_distance']
    images, labels = model.normalise(batch['source']['image']), batch['source']['label']
    expected = [
        feature_distance(
            model.encoder(seen)[-1],
            reference(seen)[-1],
            labels,
            thing_ids=CITYSCAPES.thing_ids,
            min_ratio=SETTINGS.feature_distance_min_ratio,
            classes=19,
        )
        for seen in (model.shrink(images), images)
    ]
    assert all(distance > 0 for distance in expected)
    assert found.item() == pytest.approx(sum(expected).item(), rel=1e-4)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'ema_alpha': 1.5}, 'ema_alpha is 1.5'),
        ({'detail_loss_weight': 0.7, 'context_loss_weight': 0.6}, 'exceed 1'),
        ({'jitter_strength': 0.6}, 'jitter_strength'),
        ({'blur_sigma': (2.0, 1.0)}, 'blur_sigma'),
        ({'rare_class_temperature': 0.0}, 'rare_class_sampling=false'),
        ({'feature_distance_weight': -1.0}, 'must not be negative'),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **changes)


def test_unknown_method_names_those_there_are(tiny_model: HRDA) -> None:
    with pytest.raises(ValueError, match='source_only, self_training, masked_consistency'):
        build_method(_run('dacs'), tiny_model, pretrained_encoder=True)


@pytest.mark.parametrize(
    'name', ['source_only', 'masked_consistency', 'min_entropy', 'adversarial']
)
def test_every_method_keeps_losses_float32_in_mixed_precision(tiny_model: HRDA, name: str) -> None:
    method = build_method(_run(name), tiny_model, pretrained_encoder=True)
    scaler = torch.amp.GradScaler('cpu', init_scale=2.0**10)
    seen: list[torch.dtype] = []

    def backward(loss: Tensor) -> None:
        seen.append(loss.dtype)
        scaler.scale(loss).backward()

    with torch.autocast('cpu', torch.bfloat16):
        found = method.step(_batch(), 0, backward)
    assert {figure.dtype for figure in found.values()} == set(seen) == {torch.float32}
    gradients = [parameter.grad for parameter in tiny_model.parameters()]
    assert all(g is not None and g.dtype == torch.float32 for g in gradients)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)


def test_losses_and_mixture_stay_float32_in_mixed_precision(tiny_model: HRDA) -> None:
    method = _method(tiny_model, jitter_probability=1.0, blur_probability=1.0)
    kept: list[Tensor] = []
    tiny_model.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    with torch.autocast('cpu', torch.bfloat16):
        found = method.step(_batch(), 0, Tensor.backward)
    assert {figure.dtype for figure in found.values()} == {torch.float32}
    assert [images.dtype for images in kept] == [torch.float32, torch.float32]
