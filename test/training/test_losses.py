"""Losses: parity with the published code, and their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hrda_core.hrda import TrainingOutput
from hrda_core.windows import Box
from training.losses import composite_loss, cross_entropy, feature_distance, majority_labels

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
