"""The teacher: averaging, its mode, and pseudo labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import nn

from hrda_core.hrda import HRDA
from training.methods.teacher import Teacher, ema_alpha, pseudo_labels, set_teacher_mode


def test_alpha_warms_up_as_published(figures: dict[str, Any]) -> None:
    for step, alpha in figures['ema_alpha'].items():
        assert ema_alpha(int(step), 0.999) == pytest.approx(alpha, abs=1e-12)


def _shift(model: nn.Module, amount: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(amount)


def test_first_update_copies_parameters_but_not_buffers(tiny_model: HRDA) -> None:
    teacher = Teacher(tiny_model, 0.999)
    _shift(tiny_model, 1.0)
    batch_norm = next(m for m in tiny_model.modules() if isinstance(m, nn.BatchNorm2d))
    assert batch_norm.running_mean is not None
    batch_norm.running_mean.fill_(7)
    teacher.update(tiny_model, 0)
    for own, other in zip(teacher.model.parameters(), tiny_model.parameters(), strict=True):
        assert torch.equal(own, other)
    assert all((buffer != 7).all() for buffer in teacher.model.buffers() if buffer.ndim)


def test_later_update_averages(tiny_model: HRDA) -> None:
    teacher = Teacher(tiny_model, 0.999)
    before = [parameter.clone() for parameter in teacher.model.parameters()]
    _shift(tiny_model, 1.0)
    teacher.update(tiny_model, 4)
    for old, new in zip(before, teacher.model.parameters(), strict=True):
        assert torch.allclose(new, old + 0.2, atol=1e-6)


def test_a_repeated_step_is_not_taken_in_twice(tiny_model: HRDA) -> None:
    teacher = Teacher(tiny_model, 0.999)
    teacher.update(tiny_model, 3)
    before = [parameter.clone() for parameter in teacher.model.parameters()]
    _shift(tiny_model, 1.0)
    teacher.update(tiny_model, 3)
    assert all(map(torch.equal, before, teacher.model.parameters()))


def test_teacher_needs_no_gradients(tiny_model: HRDA) -> None:
    teacher = Teacher(tiny_model, 0.999)
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert all(parameter.requires_grad for parameter in tiny_model.parameters())


def test_mode_uses_batch_statistics_without_dropout(tiny_model: HRDA) -> None:
    set_teacher_mode(tiny_model.eval())
    kinds = {type(module): module.training for module in tiny_model.modules()}
    assert kinds[nn.BatchNorm2d]
    assert not kinds[nn.Dropout2d]
    assert not kinds[DropPath]


def test_pseudo_labels_equal_published(
    ops: dict[str, np.ndarray], figures: dict[str, Any]
) -> None:
    labels, weights, quality = pseudo_labels(
        torch.from_numpy(ops['pl_logits']), torch.from_numpy(ops['pl_valid'][:, 0]), 0.968
    )
    assert np.array_equal(labels.numpy(), ops['pl_label'])
    assert np.allclose(weights.numpy(), ops['pl_weight'], atol=1e-7)
    assert quality.item() == pytest.approx(figures['pl_weight_batch'], abs=1e-7)


def test_margins_do_not_change_the_quality() -> None:
    logits = torch.zeros(1, 2, 4, 4)
    logits[0, 1, :2] = 9
    valid = torch.zeros(1, 4, 4, dtype=torch.uint8)
    valid[0, 3] = 1
    _, weights, quality = pseudo_labels(logits, valid, 0.9)
    assert quality == 0.5
    assert torch.equal(weights, 0.5 * valid)
