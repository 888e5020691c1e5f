"""Folded copies: same results, fewer layers, and an original that stays as it is."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.encoders import Encoder
from hrda_core.folding import _folded_encoder, folded_copy
from hrda_core.hrda import HRDA
from hrda_core.pvt_blocks import MapAttention, MapMlp

CLASSES = ClassSet('trio', ('a', 'b', 'c'), ((1, 1, 1),) * 3, ((0,), (1,), (2,)))


def build(encoder: str, head: str = 'daformer') -> HRDA:
    """A network whose batch norms do something."""
    torch.manual_seed(0)
    model = HRDA(
        Architecture(encoder, 8, 8, 8, head=head, context_size=128, detail_size=64), CLASSES
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize(
    ('encoder', 'head'),
    [
        ('mit_b0', 'daformer'),
        ('tiny_vit_5m_224', 'daformer'),
        ('tf_efficientnet_lite0', 'daformer'),
        ('resnet18', 'daformer'),
        ('resnet50_v1c', 'deeplab_v2'),
    ],
)
def test_a_folded_copy_has_no_norms_and_computes_the_same(encoder: str, head: str) -> None:
    model = build(encoder, head)
    folded = folded_copy(model)
    assert norms(model) > 0
    assert norms(folded) == 0
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        ours, theirs = folded.detail(images), model.detail(images)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


def test_the_original_stays_and_the_copy_is_frozen() -> None:
    model = build('tiny_vit_5m_224')
    before = copy.deepcopy(model.state_dict())
    folded = folded_copy(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_the_blocks_of_mit_are_replaced() -> None:
    folded = folded_copy(build('mit_b0'))
    kinds = [type(module) for module in folded.modules()]
    assert kinds.count(MapAttention) == kinds.count(MapMlp) == 8


class Odd(nn.Module):
    """Layers in orders that must not be folded, and one that may."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.first, self.second = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.between, self.twice, self.other = (nn.BatchNorm2d(3) for _ in range(3))
        self.active = BatchNormAct2d(3)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        changed = self.between(self.first(images).relu_())
        repeated = self.twice(self.shared(images)) + self.other(self.shared(images))
        return [self.active(self.second(changed + repeated))]


def test_only_norms_right_behind_a_convolution_of_their_own_are_folded() -> None:
    odd = Odd().eval()
    for module in (odd.between, odd.twice, odd.other, odd.active):
        module.running_mean.normal_()
    folded = _folded_encoder(odd)
    images = torch.randn(1, 3, 8, 8)
    assert norms(folded) == 3
    assert isinstance(folded.active, nn.ReLU)
    torch.testing.assert_close(folded(images)[0], odd(images)[0], rtol=1e-5, atol=1e-5)


class Branching(Encoder):
    """Uses the result of a convolution beside its norm."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        raw = self.conv(images)
        return [self.norm(raw) + raw]


def test_an_encoder_that_would_compute_something_else_stays_unfolded() -> None:
    encoder = Branching().eval()
    encoder.norm.running_var.fill_(4.0)
    assert _folded_encoder(encoder) is encoder
