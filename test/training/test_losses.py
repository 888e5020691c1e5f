"""Losses: parity with the published code, and their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrda_core.classes import IGNORE
from hrda_core.hrda import TrainingOutput
from hrda_core.windows import Box
from training.memory.live_bytes import LiveBytes
from training.methods.losses import (
    composite_loss,
    cross_entropy,
    feature_distance,
    majority_labels,
)

THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)


@pytest.mark.parametrize('weighted', [False, True])
def test_cross_entropy_equals_published(
    ops: dict[str, np.ndarray], figures: dict[str, Any], weighted: bool
) -> None:
    weights = torch.from_numpy(ops['ce_weight']) if weighted else None
    loss = cross_entropy(
        torch.from_numpy(ops['ce_logits']), torch.from_numpy(ops['ce_label'][:, 0]), weights
    )
    expected = figures['ce_weighted' if weighted else 'ce_unweighted']['loss_seg']
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_counts_ignored_pixels_in_the_mean() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    labels = torch.tensor([[[0, 255], [255, 255]]], dtype=torch.uint8)
    assert cross_entropy(logits, labels).item() == pytest.approx(np.log(2) / 4)


def test_cross_entropy_of_half_precision_logits_is_float32() -> None:
    loss = cross_entropy(torch.zeros(1, 3, 2, 2).half(), torch.zeros(1, 4, 4, dtype=torch.uint8))
    assert loss.dtype == torch.float32


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_cross_entropy_image_by_image_has_the_gradient_of_the_whole(
    weighted: bool, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(3, 5, 6, 7, generator=generator)).to(dtype).requires_grad_()
    labels = torch.randint(0, 6, (3, 24, 28), generator=generator).to(torch.uint8)
    labels[labels == 5] = IGNORE
    weights = torch.rand(3, 24, 28, generator=generator) if weighted else None
    enlarged = F.interpolate(logits.float(), size=(24, 28), mode='bilinear')
    whole = F.cross_entropy(enlarged, labels.long(), reduction='none', ignore_index=IGNORE)
    expected = (whole if weights is None else whole * weights).mean()
    (expected_gradient,) = torch.autograd.grad(3 * expected, logits)
    loss = cross_entropy(logits, labels, weights)
    (gradient,) = torch.autograd.grad(3 * loss, logits)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert gradient.dtype == dtype
    assert torch.allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-8)


def test_cross_entropy_holds_one_image_at_full_size() -> None:
    peaks = []
    for count in (1, 8):
        with LiveBytes((64,)) as counted:
            logits = torch.empty(count, 5, 16, 16, device='meta', requires_grad=True)
            labels = torch.empty(count, 64, 64, device='meta', dtype=torch.uint8)
            before = counted.live
            cross_entropy(logits, labels).backward()
            peaks.append(counted.peak - before)
    assert peaks[1] < peaks[0] + 3 * 7 * logits[0].numel() * 4


def _output() -> TrainingOutput:
    generator = torch.Generator().manual_seed(0)

    def logits(size: int) -> torch.Tensor:
        return torch.randn(2, 3, size, size, generator=generator)

    return TrainingOutput(logits(8), logits(4), logits(4), None, [])


def test_composite_loss_weights_its_parts() -> None:
    output, box = _output(), Box(8, 24, 0, 16)
    labels = torch.randint(0, 3, (2, 32, 32), dtype=torch.uint8)
    weights = torch.rand(2, 32, 32)
    parts = composite_loss(output, labels, box, weights, detail_weight=0.1, context_weight=0.2)
    inside = (slice(None), slice(8, 24), slice(0, 16))
    assert output.detail is not None and output.weighted_context is not None
    expected = {
        'fused': 0.7 * cross_entropy(output.fused, labels, weights),
        'detail': 0.1 * cross_entropy(output.detail, labels[inside], weights[inside]),
        'context': 0.2 * cross_entropy(output.weighted_context, labels, weights),
    }
    assert parts.keys() == expected.keys()
    assert all(torch.isclose(parts[name], expected[name]) for name in parts)


def test_composite_loss_without_second_resolution_is_cross_entropy() -> None:
    output = TrainingOutput(torch.randn(1, 3, 8, 8), None, None, None, [])
    labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
    parts = composite_loss(output, labels, None, detail_weight=0.1, context_weight=0)
    assert list(parts) == ['fused']
    assert torch.equal(parts['fused'], cross_entropy(output.fused, labels))


@pytest.mark.parametrize('cell', [32, 16])
def test_majority_labels_equal_published(ops: dict[str, np.ndarray], cell: int) -> None:
    labels = torch.from_numpy(ops['fd_gt'][:, 0])
    side = 128 // cell
    cells = majority_labels(labels, (side, side), 0.75, 19)
    assert np.array_equal(cells.numpy(), ops[f'fd_gt_down{cell}'][:, 0])


def test_majority_labels_refuse_labels_smaller_than_the_grid() -> None:
    with pytest.raises(ValueError, match='smaller than'):
        majority_labels(torch.zeros(1, 4, 4, dtype=torch.uint8), (8, 8), 0.75, 19)


def _distance(features: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> torch.Tensor:
    return feature_distance(
        torch.from_numpy(features).requires_grad_(),
        torch.from_numpy(reference),
        torch.from_numpy(labels),
        thing_ids=THINGS,
        min_ratio=0.75,
        classes=19,
    )


def test_feature_distance_equals_published(
    ops: dict[str, np.ndarray], figures: dict[str, Any]
) -> None:
    distance = _distance(ops['fd_f1'], ops['fd_f2'], ops['fd_gtb'][:, 0])
    assert distance.item() == pytest.approx(figures['fd_masked_mean'], rel=1e-6)


def test_feature_distance_without_things_is_zero_and_finite() -> None:
    features = torch.randn(1, 4, 2, 2, requires_grad=True)
    distance = feature_distance(
        features,
        torch.zeros(1, 4, 2, 2),
        torch.zeros(1, 64, 64, dtype=torch.uint8),
        thing_ids=THINGS,
        min_ratio=0.75,
        classes=19,
    )
    distance.backward()
    assert distance.item() == 0
    assert features.grad is not None and not features.grad.any()


def test_feature_distance_of_equal_features_has_finite_gradients() -> None:
    features = torch.ones(1, 4, 2, 2, requires_grad=True)
    labels = torch.full((1, 64, 64), 13, dtype=torch.uint8)
    feature_distance(
        features, torch.ones(1, 4, 2, 2), labels, thing_ids=THINGS, min_ratio=0.75, classes=19
    ).backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()
