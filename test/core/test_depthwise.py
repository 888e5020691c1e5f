"""Dilated depthwise convolutions as sums of shifted images, against torch's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.depthwise import dilated_depthwise
from hrda_core.heads import SeparableConv


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 14), st.integers(1, 14), st.integers(1, 9)
)
def test_results_and_gradients_equal_those_of_a_convolution(
    batch: int, channels: int, height: int, width: int, dilation: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(batch, channels, height, width, generator=generator).requires_grad_()
    weight = torch.randn(channels, 1, 3, 3, generator=generator).requires_grad_()
    pull = torch.randn(maps.shape, generator=generator)
    expected = F.conv2d(maps, weight, None, 1, dilation, dilation, channels)
    found = dilated_depthwise(maps, weight, dilation)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(
        torch.autograd.grad(found, (maps, weight), pull),
        torch.autograd.grad(expected, (maps, weight), pull),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_head_computes_what_its_modules_do_in_turn() -> None:
    branch = SeparableConv(4, 3, 6)
    maps = torch.randn(2, 4, 10, 12)
    plain = branch.pointwise(branch.depthwise(maps))
    torch.testing.assert_close(branch(maps), plain, rtol=1e-4, atol=1e-5)


def test_an_exported_head_has_plain_convolutions() -> None:
    branch = SeparableConv(4, 3, 6).eval()
    maps = torch.randn(1, 4, 10, 12)
    graph = torch.export.export(branch, (maps,)).graph
    names = [str(node.target) for node in graph.nodes]
    assert sum('conv2d' in name for name in names) == 2
    assert not any('addcmul' in name for name in names)
