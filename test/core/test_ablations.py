"""The switches of the paper's ablations, in the training forward and at inference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import load_model, save_model
from hrda_core.classes import ClassSet
from hrda_core.heads import resize
from hrda_core.hrda import HRDA
from hrda_core.windows import Box, plan_windows

CLASSES = ClassSet('trio', ('a', 'b', 'c'), ((1, 1, 1),) * 3, ((0,), (1,), (2,)))
TINY = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)
BOX = Box(32, 96, 16, 80)


def build(**changes: object) -> HRDA:
    torch.manual_seed(0)
    return HRDA(replace(TINY, **changes), CLASSES).eval()


@pytest.fixture(scope='module')
def images() -> torch.Tensor:
    return torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))


def test_fixed_attention_zero_is_the_context_alone(images):
    model = build(fixed_attention=0.0)
    assert model.attention_head is None
    context = model.context(model.shrink(images)).logits
    assert torch.allclose(model.predict(images), resize(resize(context, (32, 32)), (128, 128)))


def test_fixed_attention_one_is_the_detail_inside_the_box_in_training(images):
    output = build(fixed_attention=1.0)(images, BOX)
    inner = output.fused[..., 10:22, 6:18]
    assert torch.allclose(inner, output.detail[..., 2:14, 2:14])
    assert output.attention.sum() == 8 * 8


def test_fixed_attention_is_half_of_both(images):
    context, detail, half = (build(fixed_attention=a).predict(images) for a in (0.0, 1.0, 0.5))
    assert torch.allclose(half, (context + detail) / 2, atol=1e-5)


def test_windows_side_by_side_are_four_instead_of_nine():
    counts = [
        len(plan_windows(128, 128, replace(TINY, detail_overlap=overlap)).windows)
        for overlap in (True, False)
    ]
    assert counts == [9, 4]


def test_windows_side_by_side_equal_the_network_on_each(images):
    model = build(fixed_attention=1.0, detail_overlap=False)
    corner = resize(model.detail(images[..., 64:, 64:]), (64, 64))
    assert torch.allclose(model.predict(images)[..., 72:, 72:], corner[..., 8:, 8:], atol=1e-5)


def test_blurred_detail_sees_no_more_than_the_context(images):
    blurred, sharp = build(detail_blur=True), build()
    coarse = resize(resize(images, (64, 64)), (128, 128))
    assert torch.allclose(blurred(images, BOX).detail, sharp(coarse, BOX).detail, atol=1e-5)
    detail = {
        name: next(model.predict_crops(images, plan_windows(128, 128, model.architecture)))[1]
        for name, model in (('blurred', blurred), ('sharp', sharp))
    }
    assert not torch.allclose(detail['blurred'].detail, detail['sharp'].detail, atol=1e-3)
    assert torch.equal(detail['blurred'].context, detail['sharp'].context)


def test_one_scale_twice_looks_at_the_crop_unresized(images):
    model = build(context_scale=1.0)
    assert model.shrink(images).shape[-2:] == (128, 128)
    output = model(images, BOX)
    assert output.attention.shape[-2:] == (32, 32)
    inside = output.attention[..., 8:24, 4:20]
    assert torch.count_nonzero(inside) == torch.count_nonzero(output.attention) > 0


@pytest.mark.parametrize(
    ('scale', 'size', 'rows', 'columns'),
    # box / (4 / scale), truncated
    [(0.25, 8, (2, 6), (1, 5)), (0.75, 24, (6, 18), (3, 15))],
)
def test_other_context_scales_mask_their_own_grid(images, scale, size, rows, columns):
    output = build(context_scale=scale)(images, BOX)
    assert output.attention.shape[-2:] == (size, size)
    ones = output.attention[0].amax(0) > 0
    expected = torch.zeros_like(ones)
    expected[slice(*rows), slice(*columns)] = True
    assert torch.equal(ones, expected)


def test_switches_travel_in_the_checkpoint(tmp_path: Path, images):
    model = build(fixed_attention=0.25, detail_overlap=False, detail_blur=True)
    save_model(tmp_path / 'model.safetensors', model, step=1)
    loaded = load_model(tmp_path / 'model.safetensors').eval()
    assert loaded.architecture == model.architecture
    assert torch.equal(loaded.predict(images), model.predict(images))


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'fixed_attention': 1.5}, 'fixed_attention 1.5'),
        ({'attention': 'none', 'fixed_attention': 0.5}, 'no detail branch'),
        ({'attention': 'none', 'detail_blur': True}, 'no detail branch'),
    ],
)
def test_impossible_switches_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(TINY, **changes)
