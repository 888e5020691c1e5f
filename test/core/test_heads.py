"""The decoder's convolutions: in reduced precision on a CPU, and of levels apart."""

from __future__ import annotations

import torch

from hrda_core.heads import AtrousPyramid, LevelsConvNormReLU, side_by_side


def _weight_gradients(pyramid: AtrousPyramid, maps: torch.Tensor, reduced: bool) -> torch.Tensor:
    pyramid.zero_grad()
    with torch.autocast('cpu', torch.bfloat16, enabled=reduced):
        fused = pyramid([maps])
    fused.float().square().mean().backward()
    return torch.stack([b.depthwise.conv.weight.grad.clone() for b in pyramid.branches[1:]])


def test_depthwise_gradients_in_bf16_are_right_every_time() -> None:
    torch.manual_seed(0)
    pyramid = AtrousPyramid(64, 16)
    maps = torch.randn(2, 64, 32, 32).relu().contiguous(memory_format=torch.channels_last)
    exact = _weight_gradients(pyramid, maps, reduced=False)
    found = torch.stack([_weight_gradients(pyramid, maps, reduced=True) for _ in range(10)])
    assert (found == found[0]).all()
    for dilation in range(len(exact)):
        assert (found[0] - exact)[dilation].abs().max() < 0.3 * exact[dilation].abs().max()


def test_levels_are_convolved_as_if_they_were_enlarged_and_side_by_side() -> None:
    torch.manual_seed(0)
    layer = LevelsConvNormReLU(12, 5)
    levels = [torch.randn(2, 4, *size, requires_grad=True) for size in ((9, 12), (5, 6), (2, 3))]
    plain = layer.relu(layer.norm(layer.conv(side_by_side(levels))))
    fused = layer(levels)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5)
    inputs = (*levels, layer.conv.weight)
    pull = torch.randn(fused.shape)
    for ours, theirs in zip(
        torch.autograd.grad(fused, inputs, pull),
        torch.autograd.grad(plain, inputs, pull),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
