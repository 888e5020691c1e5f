"""Any timm pyramid becomes an encoder; other models are refused with a sentence."""

from __future__ import annotations

import json

import pytest
import torch
from official_recipe import GOLDEN
from torch import nn

from hrda_core.encoders import Encoder


@pytest.mark.parametrize(
    'name', ['mit_b0', 'tiny_vit_5m_224', 'tf_efficientnet_lite0', 'convnext_atto', 'resnet18']
)
def test_four_levels_at_the_published_strides(name):
    with torch.no_grad():
        maps = Encoder(name).eval()(torch.zeros(1, 3, 64, 128))
    assert [tuple(level.shape[2:]) for level in maps] == [(16, 32), (8, 16), (4, 8), (2, 4)]


def test_channels_last_families_are_turned():
    encoder = Encoder('swin_tiny_patch4_window7_224')
    with torch.no_grad():
        maps = encoder.eval()(torch.zeros(1, 3, 224, 224))
    assert tuple(level.shape[1] for level in maps) == encoder.channels


@pytest.mark.parametrize(
    ('name', 'near'), [('mit_b55', 'mit_b5'), ('tiny_vit_5m', 'tiny_vit_5m_224')]
)
def test_the_nearest_encoder_is_named(name, near):
    with pytest.raises(ValueError, match=f'did you mean {near}'):
        Encoder(name)


@pytest.mark.parametrize('name', ['mit_b9', 'no_such_model'])
def test_unknown_encoder(name):
    with pytest.raises(ValueError, match='unknown encoder'):
        Encoder(name)


def test_a_model_without_a_pyramid():
    with pytest.raises(ValueError, match=r'vit_tiny_patch16_224.*strides'):
        Encoder('vit_tiny_patch16_224')


def test_mit_weights_cannot_be_downloaded():
    with pytest.raises(ValueError, match='hrda import'):
        Encoder('mit_b0', pretrained=True)


@pytest.fixture(scope='module')
def mit_b5() -> Encoder:
    return Encoder('mit_b5', drop_path=0.1)


def test_mit_b5_layer_norm_eps(mit_b5):
    norms = [m.eps for m in mit_b5.modules() if isinstance(m, nn.LayerNorm)]
    assert (norms.count(1e-5), norms.count(1e-6), len(norms)) == (53, 108, 161)


def test_mit_b5_drop_path_rises_as_published(mit_b5):
    published = json.loads((GOLDEN / 'drop_path_b5.json').read_text())
    rates = [
        getattr(block.drop_path1, 'drop_prob', 0.0)
        for stage in range(4)
        for block in getattr(mit_b5.body, f'stages_{stage}').blocks
    ]
    assert rates == pytest.approx(published, abs=1e-7)
