"""Pretrained encoder weights from elsewhere: timm files and imported MiT backbones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from torch import Tensor

from hrda_core.checkpoints import CheckpointError, KeyReport, read_state_dict
from hrda_core.encoders import MIT, Encoder


def load_encoder_weights(
    encoder: Encoder, path: str | Path, match: Literal['name', 'order'] = 'name'
) -> KeyReport:
    """Load pretrained weights into an encoder.

    Args:
        encoder: the encoder of a new model.
        path: .safetensors or .pth with timm's names for the same model, or an encoder that
            `hrda import` wrote. Classifiers in the file are left out.
        match: `order` pairs tensors by their position instead, for .pth files of the same
            network under other names.

    Returns:
        Which names of the file were taken.

    Raises:
        CheckpointError: the file cannot be read, or it does not fill the encoder.
        ValueError: `match` is neither name nor order.
    """
    if match not in ('name', 'order'):
        raise ValueError(f'encoder weights are matched by name or order, not {match!r}')
    if match == 'order' and Path(path).suffix == '.safetensors':
        raise CheckpointError(f'{path}: safetensors files keep no order; match by name')
    found = read_state_dict(path)
    own = encoder.state_dict()
    pair = _by_name if match == 'name' else _by_order
    origin = pair(own, found)
    wrong = [
        f'{source} {tuple(found[source].shape)} for {name} {tuple(own[name].shape)}'
        for name, source in origin.items()
        if found[source].shape != own[name].shape
    ]
    missing = tuple(n for n in own if n not in origin and not n.endswith('num_batches_tracked'))
    used = set(origin.values())
    report = KeyReport(tuple(used), missing, tuple(n for n in found if n not in used))
    if wrong or missing:
        detail = f'other shapes: {"; ".join(wrong[:4])}' if wrong else str(report)
        if encoder.name in MIT and any(name.startswith('block1.') for name in found):
            detail = 'it has the published names; convert it first with `hrda import`'
        raise CheckpointError(
            f'{path}: does not fit encoder {encoder.name!r} by {match}: {detail}'
        )
    encoder.load_state_dict({n: found[s] for n, s in origin.items()}, strict=False)
    return report


def _by_name(own: dict[str, Tensor], found: dict[str, Tensor]) -> dict[str, str]:
    sources = {_canonical(name): name for name in found}
    return {n: sources[c] for n in own if (c := _canonical(n)) in sources}


def _by_order(own: dict[str, Tensor], found: dict[str, Tensor]) -> dict[str, str]:
    """Pair tensors in order; the file may go on (classifier) after the encoder ends."""
    names = [n for n in own if not n.endswith('num_batches_tracked')]
    sources = [n for n in found if not n.endswith('num_batches_tracked')]
    return dict(zip(names, sources, strict=False))


def _canonical(name: str) -> str:
    """One spelling for a tensor: timm's pyramids turn `stages.0.` into `stages_0.`."""
    for prefix in ('body.', 'module.', 'encoder.', 'backbone.'):
        name = name.removeprefix(prefix)
    return re.sub(r'^([a-z_]+?)[._](\d+)\.', r'\1.\2.', name)
