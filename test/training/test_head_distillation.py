"""Distillation of the head alone: what it learns from, what it leaves alone, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import load_model, save_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from training.methods.head_distillation import HeadDistillation
from training.methods.settings import DistillationSettings, SelfTrainingSettings

SMALL = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)
STILL = SelfTrainingSettings(jitter_probability=0.0, blur_probability=0.0)


@pytest.fixture(scope='module')
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a two-resolution teacher that is sure of what it says."""
    torch.manual_seed(1)
    network = HRDA(SMALL, CITYSCAPES).eval()
    with torch.no_grad():
        network.head.classify.weight.mul_(100)
    path = tmp_path_factory.mktemp('teacher') / 'exact.safetensors'
    save_model(path, network, step=7)
    return path


def _student(**changes: Any) -> HRDA:
    torch.manual_seed(2)
    return HRDA(replace(SMALL, **{'head': 'daformer_fast', **changes}), CITYSCAPES)


def _method(teacher: Path, student: HRDA | None = None, **changes: Any) -> HeadDistillation:
    settings = DistillationSettings(str(teacher), head_only=True, **changes)
    return HeadDistillation(student or _student(), STILL, settings, seed=3)


def _batch() -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 128, 128), generator=generator).byte()
    label = torch.randint(0, 19, (2, 128, 128), generator=generator).byte()
    valid = torch.ones(2, 128, 128, dtype=torch.uint8)
    return {'target': {'image': image, 'valid': valid}, 'source': {'image': image, 'label': label}}


def _target() -> dict[str, dict[str, Tensor]]:
    return {'target': _batch()['target']}


def test_the_head_comes_to_agree_and_all_else_stays_the_teachers(teacher: Path) -> None:
    method, tutor = _method(teacher), load_model(teacher)
    learning = [p for p in method.student.parameters() if p.requires_grad]
    optimiser, losses = torch.optim.AdamW(learning, 3e-3), []
    for _ in range(12):
        optimiser.zero_grad()
        losses.append(method.step(_target(), 0, Tensor.backward)['loss'].item())
        optimiser.step()
    assert losses[-1] < 0.95 * losses[0]
    for part in ('encoder', 'attention_head'):
        own = getattr(method.student, part).state_dict()
        for name, tensor in getattr(tutor, part).state_dict().items():
            assert torch.equal(own[name], tensor), f'{part}.{name}'
    assert all(p.grad is None for p in method.tutor.parameters())


def test_a_head_like_the_teachers_has_nothing_to_learn(teacher: Path) -> None:
    method = _method(teacher, _student(head='daformer', dropout=0.0))
    head = method.student.head.eval()
    head.load_state_dict(method.tutor.head.state_dict())
    # The teacher's batch norms do not look at the batch, so that the student's must not either.
    head.train = lambda mode=True: head  # type: ignore[method-assign]
    found = method.step(_target(), 0, Tensor.backward)
    assert found['loss'].item() == pytest.approx(0, abs=1e-5)
    assert found['teacher_agreement'] == 1


def test_losses_add_up(teacher: Path) -> None:
    found = _method(teacher, hard_weight=0.3).step(_batch(), 0, Tensor.backward)
    parts = {'source_fused', 'source_detail', 'distilled_context', 'distilled_detail'}
    assert set(found) == {*parts, 'loss', 'teacher_agreement'}
    assert found['loss'].item() == pytest.approx(sum(found[n].item() for n in parts), rel=1e-5)


def test_margins_teach_nothing(teacher: Path) -> None:
    batch = _target()
    batch['target']['valid'] = torch.zeros_like(batch['target']['valid'])
    assert _method(teacher).step(batch, 0, Tensor.backward)['loss'] == 0


def test_one_resolution_is_taught_once(tmp_path: Path) -> None:
    single = replace(SMALL, attention='none')
    save_model(tmp_path / 'single.safetensors', HRDA(single, CITYSCAPES), step=1)
    method = _method(tmp_path / 'single.safetensors', _student(attention='none'))
    found = method.step(_target(), 0, Tensor.backward)
    assert set(found) == {'distilled_context', 'loss', 'teacher_agreement'}
    assert set(method.panels()) == {'target', 'target_recoloured'}


@pytest.mark.parametrize(
    ('change', 'part'),
    [
        ({'encoder': 'mit_b1'}, 'encoder'),
        ({'attention': 'single'}, 'attention_head'),
        ({'attention': 'none'}, 'attention_head'),
    ],
)
def test_what_is_shared_must_be_alike(teacher: Path, change: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=f'another {part} than the teacher .*exact'):
        _method(teacher, _student(**change))


def test_heads_that_see_the_same_features_see_one_scale() -> None:
    with pytest.raises(ValueError, match=r'teacher_scale is 2\.0 and head_only is true'):
        DistillationSettings('t', head_only=True, teacher_scale=2.0)
