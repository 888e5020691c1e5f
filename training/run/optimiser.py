"""Which parameter learns how fast, and how that changes with the step (spec section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from training.settings.run import OptimiserSettings

WARMUP_START = 1e-6
"""Part of the learning rate that the very first step uses."""
_NORMALISATIONS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


def parameter_groups(model: nn.Module, settings: OptimiserSettings) -> list[dict[str, Any]]:
    """Sort the trainable parameters of a network into groups.

    Everything outside `model.encoder` is head: faster, and all of it is decayed. In the encoder,
    parameters of normalisation layers are not decayed; biases of other layers are. Layers are
    told by their type and not by their name, so this holds for any encoder.

    Args:
        model: a network with an `encoder` attribute.
        settings: learning rates and weight decay.

    Returns:
        Groups for a torch optimiser with `name`, `params`, `lr` and `weight_decay`; empty ones
        are left out.
    """
    encoder_ids = {id(p) for p in model.encoder.parameters()}  # type: ignore[union-attr]
    norm_ids = {id(p) for p in _normalisation_parameters(model.encoder)}  # type: ignore[arg-type]
    trainable = [p for p in model.parameters() if p.requires_grad]
    decay = settings.weight_decay
    norm_decay = decay if settings.decay_norms else 0.0
    head_lr = settings.lr * settings.head_lr_multiplier
    encoder = [p for p in trainable if id(p) in encoder_ids and id(p) not in norm_ids]
    norms = [p for p in trainable if id(p) in norm_ids]
    heads = [p for p in trainable if id(p) not in encoder_ids]
    groups = [
        {'name': 'encoder', 'params': encoder, 'lr': settings.lr, 'weight_decay': decay},
        {'name': 'encoder_norms', 'params': norms, 'lr': settings.lr, 'weight_decay': norm_decay},
        {'name': 'heads', 'params': heads, 'lr': head_lr, 'weight_decay': decay},
    ]
    return [group for group in groups if group['params']]


def _normalisation_parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    for child in module.modules():
        # Own normalisation layers of timm do not all derive from torch's, but carry the name.
        named_norm = 'norm' in type(child).__name__.lower()
        if isinstance(child, _NORMALISATIONS) or named_norm:
            yield from (p for p in child.parameters(recurse=False) if p.ndim <= 1)


def build_optimiser(model: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """An optimiser over `parameter_groups`; each group keeps its highest rate in `base_lr`."""
    groups = parameter_groups(model, settings)
    for group in groups:
        group['base_lr'] = group['lr']
    if settings.name == 'sgd':
        return torch.optim.SGD(groups, momentum=settings.momentum)
    on_gpu = all(parameter.is_cuda for group in groups for parameter in group['params'])
    return torch.optim.AdamW(groups, betas=settings.betas, fused=True if on_gpu else None)


def rate_factor(step: int, iterations: int, settings: OptimiserSettings) -> float:
    """The part of its highest learning rate that a group uses at a step.

    The warm-up multiplies the rate that has already begun to fall (spec section 5).

    Args:
        step: 0 at the first step.
        iterations: steps of the whole run; the rate would reach 0 at this one.
        settings: the schedule.

    Returns:
        A factor in 0..1.
    """
    factor = 1.0
    if settings.schedule == 'poly':
        factor = max(0.0, 1.0 - step / iterations) ** settings.power
    if step < settings.warmup_steps:
        missing = 1.0 - step / settings.warmup_steps
        factor *= 1.0 - missing * (1.0 - WARMUP_START)
    return factor


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Give every group the learning rate `base_lr * factor`."""
    for group in optimiser.param_groups:
        group['lr'] = group['base_lr'] * factor
