"""Segmenter: sizes, outputs, window sharing, and refused input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.decision import STRIP_BYTES
from hrda_core.hrda import HRDA, fuse
from hrda_core.inference import InferenceSettings
from hrda_core.runtime import choose_runtime
from hrda_core.segmenter import Segmenter

CLASSES = ClassSet('trio', ('a', 'b', 'c'), ((1, 1, 1),) * 3, ((0,), (1,), (2,)))
TINY = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)


def network(architecture: Architecture = TINY) -> HRDA:
    torch.manual_seed(0)
    model = HRDA(architecture, CLASSES).eval()
    for parameter in (model.head.classify.weight, model.attention_head.classify.weight):
        torch.nn.init.normal_(parameter, std=1.0)  # decided enough for differences to show
    return model


def build(architecture: Architecture, **options: str) -> Segmenter:
    return Segmenter(network(architecture), InferenceSettings(device='cpu', **options))


@pytest.fixture(scope='module')
def segmenter() -> Segmenter:
    return build(TINY)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=12, deadline=None)
@given(height=st.integers(64, 200), width=st.integers(64, 200))
def test_any_size_gives_labels_of_that_size(segmenter, height, width):
    result = segmenter.segment(picture(height, width))
    assert result.labels.shape == result.confidence.shape == (height, width)
    assert result.labels.dtype == result.confidence.dtype == np.uint8
    assert result.labels.max() < len(CLASSES)


def test_windows_are_counted_once(segmenter):
    result = segmenter.segment(picture(128, 256))
    assert (result.windows_computed, result.windows_planned) == (21, 27)


def test_sharing_windows_equals_the_published_plan(segmenter):
    """Every context predicted on its own, with its own nine windows, then averaged."""
    image, model = picture(128, 256), network()
    pixels = model.normalise(torch.from_numpy(image).permute(2, 0, 1)[None])
    total, count = torch.zeros(1, 3, 128, 256), torch.zeros(1, 1, 128, 256)
    with torch.no_grad():
        for x in (0, 64, 128):
            total[..., x : x + 128] += model.predict(pixels[..., x : x + 128])
            count[..., x : x + 128] += 1
    probability = (total / count).softmax(dim=1).max(dim=1)
    result = segmenter.segment(image)
    np.testing.assert_array_equal(result.labels, probability.indices[0])
    np.testing.assert_allclose(result.confidence, probability.values[0] * 255, atol=0.51)


def test_the_engine_alone_holds_weights():
    model = network()
    segmenter = Segmenter(model, InferenceSettings(device='cpu'))
    assert {parameter.device.type for parameter in segmenter.model.parameters()} == {'meta'}
    assert {parameter.device.type for parameter in model.parameters()} == {'cpu'}


def test_live_weights_may_change():
    model, image = network(), picture(128, 128)
    segmenter = Segmenter(model, InferenceSettings(device='cpu'), live=True)
    before = segmenter.segment(image).labels
    torch.nn.init.zeros_(model.head.classify.weight)
    torch.nn.init.constant_(model.head.classify.bias[:1], 1.0)
    assert (before != 0).any()
    assert (segmenter.segment(image).labels == 0).all()


def test_confidence_is_at_least_chance(segmenter):
    assert segmenter.segment(picture(100, 90)).confidence.min() >= 255 // len(CLASSES)


def test_image_scale_keeps_the_size_of_the_image():
    result = build(replace(TINY, image_scale=0.5)).segment(picture(150, 201))
    assert result.labels.shape == (150, 201)


def test_whole_mode_plans_one_context():
    result = build(replace(TINY, mode='whole')).segment(picture(128, 192))
    assert result.windows_computed == result.windows_planned == 15


def test_one_resolution_needs_no_windows():
    model = HRDA(replace(TINY, attention='none'), CLASSES)
    result = Segmenter(model, InferenceSettings(device='cpu')).segment(picture(100, 140))
    assert result.windows_planned == 0 and result.labels.shape == (100, 140)


def test_explanation_agrees_with_the_segmentation(segmenter):
    image = picture(130, 140)
    explanation = segmenter.explain(image)
    np.testing.assert_array_equal(explanation.segmentation.labels, segmenter.segment(image).labels)
    for shown in (explanation.context, explanation.detail, explanation.attention):
        assert shown.shape == (130, 140) and shown.dtype == np.uint8


def test_probabilities_are_what_labels_and_confidence_come_from(segmenter, monkeypatch):
    monkeypatch.setitem(STRIP_BYTES, 'cpu', 200_000)
    image = picture(250, 140)
    strips = list(segmenter.probabilities(image))
    assert len(strips) > 1
    whole = torch.cat(strips, dim=1)
    assert whole.shape == (len(CLASSES), 250, 140)
    torch.testing.assert_close(whole.sum(dim=0), torch.ones(250, 140))
    result = segmenter.segment(image)
    np.testing.assert_array_equal(whole.argmax(dim=0), result.labels)
    np.testing.assert_allclose(whole.amax(dim=0) * 255, result.confidence, atol=0.51)


def test_attention_decides_between_context_and_detail():
    """All attention on one side makes that side the answer."""
    for bias, side in ((-30.0, 'context'), (30.0, 'detail')):
        model = network()
        torch.nn.init.zeros_(model.attention_head.classify.weight)
        torch.nn.init.constant_(model.attention_head.classify.bias, bias)
        explanation = Segmenter(model, InferenceSettings(device='cpu')).explain(picture(128, 128))
        np.testing.assert_array_equal(explanation.segmentation.labels, getattr(explanation, side))


def test_bf16_mostly_agrees_with_fp32(segmenter):
    image = picture(128, 128)
    reduced = build(TINY, precision='bf16').segment(image).labels
    assert (reduced == segmenter.segment(image).labels).mean() > 0.9


def test_read_only_and_strided_images_are_taken(segmenter):
    image = picture(96, 128)
    image.setflags(write=False)
    flipped = np.ascontiguousarray(image[:, ::-1])
    np.testing.assert_array_equal(
        segmenter.segment(image[:, ::-1]).labels, segmenter.segment(flipped).labels
    )


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((8, 64, 3), np.uint8),
        np.zeros((64, 9000, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_what_is_no_image_is_refused(segmenter, image):
    with pytest.raises(ValueError, match='an image'):
        segmenter.segment(image)


def test_warm_up_gives_its_time(segmenter):
    assert segmenter.warm_up(64, 64) > 0


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'device': 'gpu'}, 'expected auto, cpu, cuda'),
        ({'device': 'cuda:99'}, 'CUDA devices'),
        ({'device': 'cpu', 'precision': 'int8'}, 'expected auto, fp32'),
        ({'device': 'cpu', 'precision': 'fp16'}, 'needs a GPU'),
    ],
)
def test_impossible_runtimes_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        choose_runtime(**options)


def test_weighting_comes_before_enlarging():
    """Trap 1: up(1 - A) * up(L) is another number."""
    torch.manual_seed(0)
    context, attention = torch.randn(1, 2, 4, 4), torch.rand(1, 2, 4, 4)
    fused, weighted = fuse(context, attention, torch.zeros(1, 2, 8, 8))
    torch.testing.assert_close(weighted, (1 - attention) * context)
    expected = torch.nn.functional.interpolate(weighted, scale_factor=2, mode='bilinear')
    torch.testing.assert_close(fused, expected)


def test_without_detail_the_context_stands(segmenter):
    """A window that is not computed is masked: the context answers alone there."""
    context, attention = torch.randn(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    _, weighted = fuse(context, attention, torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 4, 4))
    torch.testing.assert_close(weighted, context)
