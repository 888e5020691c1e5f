"""Colour jitter and blur: parity with the published code, and their properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.hrda import HRDA
from training.data.batch_transforms import (
    JitterDraw,
    blur_kernel_size,
    colour_jitter,
    draw_blur,
    draw_jitter,
    gaussian_blur,
    hsv_to_rgb,
    rgb_to_hsv,
)
from training.methods.self_training import SelfTraining, recolour
from training.methods.settings import SelfTrainingSettings

LETTERS = {'b': 'brightness', 'c': 'contrast', 's': 'saturation', 'h': 'hue'}


@pytest.mark.parametrize('order', ['b', 'c', 's', 'h', 'bcsh', 'hscb', 'sbhc'])
def test_jitter_equals_published(
    ops: dict[str, np.ndarray], figures: dict[str, Any], order: str
) -> None:
    factors = {name: figures['cj_factors'][f'{name}_factor'] for name in LETTERS.values()}
    draw = JitterDraw(**factors, order=tuple(LETTERS[letter] for letter in order))
    result = colour_jitter(torch.from_numpy(ops['cj_in']), draw)
    assert np.allclose(result.numpy(), ops[f'cj_{order}'], atol=5e-6)


def test_jitter_of_normalised_images_equals_published(
    ops: dict[str, np.ndarray], figures: dict[str, Any], tiny_model: HRDA
) -> None:
    factors = {name: figures['cj_factors'][f'{name}_factor'][:1] for name in LETTERS.values()}
    draw = JitterDraw(**factors, order=tuple(LETTERS[letter] for letter in 'sbhc'))
    method = SelfTraining(tiny_model, SelfTrainingSettings(), seed=0, pretrained_encoder=False)
    result = recolour(method.student, torch.from_numpy(ops['cjn_in']), draw, None)
    assert np.allclose(result.numpy(), ops['cjn_out_order_2031'], atol=1e-5)


def test_drawn_factors_stay_in_range() -> None:
    draw = draw_jitter(100, 0.2, np.random.default_rng(0))
    for factors in (draw.brightness, draw.contrast, draw.saturation):
        assert 0.8 <= min(factors) < 0.85 and 1.15 < max(factors) <= 1.2
    assert -0.2 <= min(draw.hue) < 0 < max(draw.hue) <= 0.2
    assert sorted(draw.order) == ['brightness', 'contrast', 'hue', 'saturation']


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=8))
def test_hsv_round_trip(colours: list[tuple[int, int, int]]) -> None:
    images = torch.tensor(colours, dtype=torch.float32).T[None, :, None] / 255
    hsv = rgb_to_hsv(images)
    assert hsv[:, 0].min() >= 0 and hsv[:, 0].max() < 2 * torch.pi + 1e-5
    assert torch.allclose(hsv_to_rgb(hsv), images, atol=2e-5)


def test_kernel_sizes_equal_published(figures: dict[str, Any]) -> None:
    for size, kernel in figures['gb_kernel_size'].items():
        assert blur_kernel_size(int(size)) == kernel


@pytest.mark.parametrize('sigma', [0.2, 0.6, 1.1])
def test_blur_equals_published(ops: dict[str, np.ndarray], sigma: float) -> None:
    result = gaussian_blur(torch.from_numpy(ops['gb_in']), [sigma])
    assert np.allclose(result.numpy(), ops[f'gb_out_sigma{sigma}'], atol=2e-6)


def test_blur_has_its_own_sigma_per_image() -> None:
    images = torch.rand(2, 3, 64, 48)
    together = gaussian_blur(images, [0.3, 1.1])
    for number, sigma in enumerate([0.3, 1.1]):
        alone = gaussian_blur(images[number : number + 1], [sigma])[0]
        assert torch.allclose(together[number], alone, atol=1e-6)


@pytest.mark.parametrize('size', [1, 5, 11, 16, 33])
def test_blur_works_on_tiny_images(size: int) -> None:
    images = torch.full((1, 3, size, size), 0.5)
    assert torch.allclose(gaussian_blur(images, [1.15]), images)


def test_drawn_sigmas_stay_in_range() -> None:
    sigmas = draw_blur(50, (0.15, 1.15), np.random.default_rng(0))
    assert min(sigmas) >= 0.15 and max(sigmas) <= 1.15
