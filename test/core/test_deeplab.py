"""ResNet-101 with DeepLabV2's head equals the published code; and the stride of 8 it brings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from official_recipe import GOLDEN, state_dict

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import CheckpointError, load_model
from hrda_core.classes import CITYSCAPES, ClassSet
from hrda_core.hrda import HRDA, ContextPrediction, fuse
from hrda_core.inference import InferenceSettings
from hrda_core.published import import_published
from hrda_core.segmenter import Segmenter
from hrda_core.windows import Box

TOLERANCE = {'rtol': 0, 'atol': 1e-4}
KEYS = GOLDEN / 'keys_r101_dlv2.txt'
SMALL = Architecture('resnet50_v1c', head='deeplab_v2', context_size=128, detail_size=64)


@pytest.fixture(scope='module')
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / 'r101.npz') as file:
        return dict(file)


@pytest.fixture(scope='module')
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the published names."""
    path = tmp_path_factory.mktemp('r101') / 'published.pth'
    torch.save({'state_dict': state_dict(KEYS, 'model.')}, path)
    return path


@pytest.fixture(scope='module')
def model(published: Path) -> Iterator[HRDA]:
    output = published.with_name('model.safetensors')
    report = import_published(published, output)
    assert len(report.matched) == 644
    yield load_model(output).eval()


@pytest.fixture(scope='module')
def context(model: HRDA, golden: dict[str, np.ndarray]) -> ContextPrediction:
    with torch.no_grad():
        return model.context(torch.from_numpy(golden['context_image']))


def test_the_import_recognises_the_network(model):
    assert model.architecture == Architecture('resnet101_v1c', head='deeplab_v2', mode='whole')
    assert sum(p.numel() for p in model.encoder.parameters()) == 42_519_392
    assert sum(p.numel() for p in model.head.parameters()) == 700_454


@pytest.mark.parametrize('level', range(4))
def test_encoder_maps(context, golden, level):
    found = context.features[level][:, ::32].numpy()
    np.testing.assert_allclose(found, golden[f'map{level}'], **TOLERANCE)


def test_context_logits(context, golden):
    np.testing.assert_allclose(context.logits, golden['context_logits'], **TOLERANCE)


def test_attention(context, golden):
    expected = torch.sigmoid(torch.from_numpy(golden['attention_logits']))
    np.testing.assert_allclose(context.attention, expected, **TOLERANCE)


def test_fused_logits(context, golden):
    detail = torch.from_numpy(golden['detail_logits'])
    fused, _ = fuse(context.logits, context.attention, detail)
    np.testing.assert_allclose(fused, golden['fused'], **TOLERANCE)


def test_training_masks_and_pastes_on_the_grid_of_stride_8():
    torch.manual_seed(0)
    output = HRDA(SMALL, CITYSCAPES)(torch.randn(2, 3, 128, 128), Box(40, 104, 8, 72))
    assert output.fused.shape == (2, 19, 16, 16)
    assert output.detail.shape == (2, 19, 8, 8)
    ones = output.attention[0].amax(0) > 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:6, 0:4] = True  # 40 / 16 and 104 / 16, 8 / 16 and 72 / 16, truncated
    assert torch.equal(ones, expected)


@pytest.mark.parametrize('mode', ['slide', 'whole'])
@pytest.mark.parametrize('size', [(100, 148), (128, 256)])
def test_any_size_gives_labels_of_that_size(mode, size):
    torch.manual_seed(0)
    architecture = Architecture(
        'resnet50_v1c', head='deeplab_v2', context_size=128, detail_size=64, mode=mode
    )
    segmenter = Segmenter(HRDA(architecture, CITYSCAPES), InferenceSettings(device='cpu'))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    result = segmenter.segment(image)
    assert result.labels.shape == result.confidence.shape == size
    assert result.confidence.min() > 0


def test_four_dilations_are_refused(tmp_path: Path):
    shapes = {
        'model.backbone.stem.0.weight': (32, 3, 3, 3),
        **{f'model.backbone.layer3.{i}.conv1.weight': (1, 1, 1, 1) for i in range(23)},
        **{f'model.decode_head.aspp_modules.{i}.conv.weight': (19, 1, 3, 3) for i in range(4)},
    }
    torch.save({'state_dict': {key: torch.zeros(shape) for key, shape in shapes.items()}},
               tmp_path / 'four.pth')  # fmt: skip
    with pytest.raises(CheckpointError, match='it has 4 dilated convolutions'):
        import_published(tmp_path / 'four.pth', tmp_path / 'x.safetensors')


def test_other_classes_are_refused(published: Path, tmp_path: Path):
    two = ClassSet('two', ('a', 'b'), ((1, 1, 1),) * 2, ((0,), (1,)))
    with pytest.raises(CheckpointError, match='predicts 19 classes'):
        import_published(published, tmp_path / 'x.safetensors', classes=two)


def test_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match='expected daformer, daformer_fast, deeplab_v2'):
        Architecture(head='deeplab_v3')
