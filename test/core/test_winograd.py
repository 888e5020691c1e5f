"""3x3 convolutions with a quarter of the multiplications, against torch's in float64."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hrda_core import winograd
from hrda_core.winograd import WinogradConv2d, convolve3x3


def _drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every convolution that does not go through torch's."""
    calls: list[int] = []
    convolve = winograd._convolve

    def counted(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        calls.append(1)
        return convolve(maps, weight, bias)

    monkeypatch.setattr(winograd, '_convolve', counted)
    return calls


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
)
def test_results_and_gradients_equal_those_of_a_convolution(
    batch: int, inputs: int, outputs: int, height: int, width: int, pixelwise: bool
) -> None:
    maps = _drawn(batch, inputs, height, width)
    layout = torch.channels_last if pixelwise else torch.contiguous_format
    maps = maps.contiguous(memory_format=layout).requires_grad_()
    weight = _drawn(outputs, inputs, 3, 3).requires_grad_()
    bias = _drawn(outputs).requires_grad_()
    pull = _drawn(batch, outputs, height, width)
    found = convolve3x3(maps, weight, bias)
    exact = [tensor.detach().double().requires_grad_() for tensor in (maps, weight, bias)]
    expected = F.conv2d(*exact, padding=1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)
    for ours, theirs in zip(
        torch.autograd.grad(found, (maps, weight, bias), pull),
        torch.autograd.grad(expected, exact, pull.double()),
        strict=True,
    ):
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours.double() / scale, theirs / scale, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_results() -> None:
    tensors = [
        _drawn(*shape, dtype=torch.float64).requires_grad_()
        for shape in ((2, 2, 5, 6), (3, 2, 3, 3), (3,))
    ]
    assert torch.autograd.gradcheck(convolve3x3, tensors)


def test_rounding_errors_are_a_millionth_of_the_results() -> None:
    maps, weight = _drawn(1, 512, 24, 24), _drawn(32, 512, 3, 3)
    exact = F.conv2d(maps.double(), weight.double(), padding=1)
    errors = (convolve3x3(maps, weight) - exact).abs() / exact.std()
    assert errors.mean() < 2e-6 and errors.max() < 2e-5


@pytest.mark.parametrize('frozen', ['maps', 'weight'])
def test_only_the_gradients_that_are_asked_are_computed(frozen: str) -> None:
    tensors = {'maps': _drawn(1, 2, 6, 6), 'weight': _drawn(3, 2, 3, 3)}
    for name, tensor in tensors.items():
        tensor.requires_grad_(name != frozen)
    convolve3x3(**tensors).sum().backward()
    assert [name for name, tensor in tensors.items() if tensor.grad is None] == [frozen]


def test_slices_of_larger_maps_are_convolved() -> None:
    maps = _drawn(2, 4, 12, 20)[:, ::2, 1:9, 3:18]
    weight = _drawn(3, 2, 3, 3)
    expected = F.conv2d(maps, weight, padding=1)
    torch.testing.assert_close(convolve3x3(maps, weight), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('bias', [True, False])
def test_the_layer_computes_what_torchs_does_with_its_weights(bias: bool, used: list[int]) -> None:
    layer, plain = WinogradConv2d(64, 64, bias), nn.Conv2d(64, 64, 3, padding=1, bias=bias)
    plain.load_state_dict(layer.state_dict())
    maps = _drawn(1, 64, 33, 32)
    torch.testing.assert_close(layer(maps), plain(maps), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(layer(maps), plain(maps), rtol=1e-4, atol=1e-5)
    assert len(used) == 2


def test_a_changed_weight_is_seen_however_it_was_changed(used: list[int]) -> None:
    layer, maps = WinogradConv2d(64, 64), _drawn(1, 64, 32, 32)
    with torch.inference_mode():
        before = layer(maps)
        assert torch.equal(layer(maps), before)
        # An assignment to .data leaves no trace that torch would tell of.
        layer.weight.data.mul_(2)
        expected = F.conv2d(maps, layer.weight, layer.bias, padding=1)
        torch.testing.assert_close(layer(maps), expected, rtol=1e-4, atol=1e-5)
    assert len(used) == 3


def test_a_copy_carries_its_weights_alone(used: list[int]) -> None:
    layer, maps = WinogradConv2d(64, 64), _drawn(1, 64, 32, 32)
    with torch.no_grad():
        expected = layer(maps)
        copied = copy.deepcopy(layer)
        assert copied._transformed is None
        assert torch.equal(copied(maps), expected)
    assert len(used) == 2


def test_small_half_and_traced_maps_go_through_torchs_convolution(used: list[int]) -> None:
    layer, maps = WinogradConv2d(64, 64), _drawn(1, 64, 32, 32)
    layer(maps[..., :8, :8])
    WinogradConv2d(32, 64)(maps[:, :32])
    with torch.autocast('cpu', torch.bfloat16):
        assert layer(maps).dtype == torch.bfloat16
    exported = torch.export.export(layer, (maps,)).graph
    assert any('conv2d' in str(node.target) for node in exported.nodes)
    layer.to(torch.float16)(maps.half())
    assert not used
