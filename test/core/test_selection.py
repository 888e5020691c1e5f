"""Scores, limits and ageing."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrda_core.classes import CITYSCAPES
from hrda_core.selection import (
    SCORES,
    Ageing,
    best_first,
    class_weights,
    window_scores,
)
from hrda_core.windows import Box

EVEN = torch.ones(1, 3, 1, 1)


def cells(name: str, logits: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    return SCORES[name](logits.softmax(dim=1), attention, EVEN)[0]


@pytest.mark.parametrize('name', SCORES)
def test_scores_lie_between_0_and_1(name):
    torch.manual_seed(0)
    found = cells(name, 3 * torch.randn(1, 3, 6, 5), torch.rand(1, 3, 6, 5))
    assert found.shape == (6, 5)
    assert found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize('name', [name for name in SCORES if name != 'attention'])
def test_a_sure_context_asks_for_no_detail(name):
    sure = torch.zeros(1, 3, 4, 4)
    sure[:, 1] = 50
    assert cells(name, sure, torch.ones(1, 3, 4, 4)).max() < 1e-6


@pytest.mark.parametrize('name', [name for name in SCORES if name != 'entropy'])
def test_without_attention_detail_is_not_worth_it(name):
    assert cells(name, torch.randn(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)).max() == 0


def test_a_border_between_classes_is_a_boundary():
    logits = torch.zeros(1, 3, 3, 6)
    logits[:, 0, :, :3], logits[:, 1, :, 3:] = 9, 9
    found = cells('boundary', logits, torch.ones(1, 1, 3, 6))
    assert [value > 0.5 for value in found[1]] == [False, False, True, True, False, False]


def test_window_scores_are_means():
    values = torch.arange(24.0).view(1, 4, 6)
    boxes = [Box(0, 16, 0, 24), Box(16, 32, 24, 48)]
    found = window_scores(values, boxes, Fraction(8))
    assert found == [values[0, :2, :3].mean().item(), values[0, 2:, 3:].mean().item()]


def test_class_weights_put_persons_first():
    weights = class_weights(CITYSCAPES, {'person': 4.0, 'sky': 0.0})
    assert weights.shape == (1, 19, 1, 1)
    assert weights[0, CITYSCAPES.names.index('person')] == 4
    assert weights.sum() == 19 + 3 - 1


def test_weights_of_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="no class 'persons'; its classes are road"):
        class_weights(CITYSCAPES, {'persons': 2.0})


@given(scores=st.lists(st.floats(0, 1), max_size=20), threshold=st.floats(0, 1))
def test_the_best_come_first_and_the_rest_stays_out(scores, threshold):
    chosen = best_first(scores, threshold, 5)
    assert len(chosen) <= 5
    assert [scores[n] for n in chosen] == sorted((scores[n] for n in chosen), reverse=True)
    left = [score for n, score in enumerate(scores) if n not in chosen]
    assert len(chosen) == 5 or all(score < threshold for score in left)


def test_ageing_lets_no_window_starve():
    ages, seen = Ageing(0.5), set()
    for _ in range(12):
        chosen = best_first(ages.apply([0.9, 0.5, 0.2, 0.3]), 0.0, 1)
        ages.computed(chosen)
        seen.update(chosen)
    assert seen == {0, 1, 2, 3}


def test_without_ageing_the_best_window_always_wins():
    ages = Ageing(0.0)
    for _ in range(3):
        chosen = best_first(ages.apply([0.1, 0.9]), 0.0, 1)
        ages.computed(chosen)
        assert chosen == [1]


def test_another_number_of_windows_starts_anew():
    ages = Ageing(1.0)
    ages.apply([0.1, 0.2])
    ages.computed([0])
    assert ages.apply([0.1, 0.2, 0.3]) == [0.1, 0.2, 0.3]
