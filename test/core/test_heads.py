"""The decoder's convolutions in reduced precision on a CPU."""

from __future__ import annotations

import pytest
import torch

from hrda_core.heads import SeparableConv


def _weight_gradient(layer: SeparableConv, maps: torch.Tensor, reduced: bool) -> torch.Tensor:
    layer.zero_grad()
    with torch.autocast('cpu', torch.bfloat16, enabled=reduced):
        mixed = layer(maps)
    mixed.float().square().mean().backward()
    return layer.depthwise.conv.weight.grad.clone()


@pytest.mark.parametrize('dilation', [6, 12, 18])
def test_depthwise_gradients_in_bf16_are_right_every_time(dilation: int) -> None:
    torch.manual_seed(0)
    layer = SeparableConv(64, 16, dilation)
    maps = torch.randn(2, 64, 32, 32).relu().contiguous(memory_format=torch.channels_last)
    exact = _weight_gradient(layer, maps, reduced=False)
    found = torch.stack([_weight_gradient(layer, maps, reduced=True) for _ in range(10)])
    assert (found == found[0]).all()
    assert (found[0] - exact).abs().max() < 0.05 * exact.abs().max()
