"""A network for inference: batch norms folded into the convolutions before them.

At inference a batch norm is a factor and a summand per channel, which the weights of a
convolution right before it can contain.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from hrda_core.architecture import SMALLEST_SEEN
from hrda_core.encoders import Encoder
from hrda_core.heads import ConvNormReLU
from hrda_core.hrda import HRDA
from hrda_core.pvt_blocks import streamline

PROBE_SIDE = 2 * SMALLEST_SEEN
TOLERANCE = 1e-3
"""Largest difference to an encoder as it was, of the largest value; rounding gives 1e-5."""


def folded_copy(model: HRDA) -> HRDA:
    """A frozen copy in eval mode that computes the same with fewer steps, within rounding.

    The copy is a float32 model of its own on the device of the original, which stays as it is.
    What cannot be folded is left alone.
    """
    folded = copy.deepcopy(model).requires_grad_(False).eval()
    for module in folded.modules():
        if isinstance(module, ConvNormReLU):
            _fold(module.conv, module.norm)
            module.set_submodule('norm', nn.Identity())
    folded.encoder = _folded_encoder(folded.encoder)
    streamline(folded.encoder)
    return folded


def _folded_encoder(encoder: Encoder) -> Encoder:
    """The encoder with what was folded, or itself if that computes something else."""
    if not any(_is_foldable(module) for module in encoder.modules()):
        return encoder
    parameter = next(encoder.parameters())
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(2, 3, PROBE_SIDE, PROBE_SIDE, generator=generator).to(parameter)
    pairs, expected = _pairs(encoder, probe)
    if not pairs:
        return encoder
    folded = copy.deepcopy(encoder)
    for conv_path, norm_path in pairs:
        norm = folded.get_submodule(norm_path)
        _fold(folded.get_submodule(conv_path), norm)
        folded.set_submodule(norm_path, _after(norm))
    with torch.no_grad():
        found = folded(probe)
    return folded if _alike(found, expected) else encoder


def _pairs(encoder: Encoder, probe: Tensor) -> tuple[list[tuple[str, str]], list[Tensor]]:
    """Paths of convolutions and of the norms that take their results, and what came out.

    The network is watched while it computes the probe: families of timm connect their layers in
    many ways, and not all of them can be traced.
    """
    made: dict[int, tuple[str, Tensor, int]] = {}
    calls: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []

    def watch(path: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def after_convolution(_: nn.Module, __: object, result: Tensor) -> None:
            calls[path] = calls.get(path, 0) + 1
            made[id(result)] = path, result, result._version

        def before_norm(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls[path] = calls.get(path, 0) + 1
            conv, _result, version = made.get(id(inputs[0]), ('', inputs[0], -1))
            if version == inputs[0]._version:  # otherwise something changed it in place
                pairs.append((conv, path))

        if isinstance(module, nn.Conv2d):
            return module.register_forward_hook(after_convolution)
        return module.register_forward_pre_hook(before_norm)

    handles = [
        watch(path, module)
        for path, module in encoder.named_modules()
        if isinstance(module, nn.Conv2d) or _is_foldable(module)
    ]
    try:
        with torch.no_grad():
            expected = encoder(probe)
    finally:
        for handle in handles:
            handle.remove()
    once = [pair for pair in pairs if all(calls[path] == 1 for path in pair)]
    return once, expected


def _is_foldable(module: nn.Module) -> bool:
    plain = type(module) in (nn.BatchNorm2d, BatchNormAct2d)
    return plain and isinstance(module.running_mean, Tensor)


def _fold(conv: nn.Module, norm: nn.Module) -> None:
    """Put what a norm does into the convolution before it, computed in float64."""
    names = ('running_mean', 'running_var', 'weight', 'bias')
    mean, variance, factor, summand = (_double(getattr(norm, name)) for name in names)
    kernel, offset = _double(conv.weight), _double(conv.bias)
    eps: Any = norm.eps
    weight, bias = fuse_conv_bn_weights(kernel, offset, mean, variance, eps, factor, summand)
    conv.weight = nn.Parameter(weight.float(), requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)


def _double(values: Any) -> Any:
    return values.double() if isinstance(values, Tensor) else None


def _after(norm: nn.Module) -> nn.Module:
    """What timm does in a norm beyond normalising."""
    activation = getattr(norm, 'act', None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def _alike(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(
        bool((a - b).abs().max() <= TOLERANCE * b.abs().max())
        for a, b in zip(found, expected, strict=True)
    )
