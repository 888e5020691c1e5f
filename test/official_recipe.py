"""Weights of the golden tests, regenerated from parameter names so that no weights are stored."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / 'golden'
Shape = tuple[int, ...]


def value(key: str, shape: Shape) -> Tensor:
    """The tensor that belongs to a full published key (prefix such as 'model.' included).

    Shape: `shape`; float32 holding float16 values, or a scalar int64 for num_batches_tracked.
    """
    checksum = zlib.crc32(key.encode())
    if key.endswith('num_batches_tracked'):
        return torch.tensor(100 + checksum % 50, dtype=torch.int64)
    generator = torch.Generator().manual_seed(checksum)
    uniform = torch.rand(prod(shape), generator=generator, dtype=torch.float32).reshape(shape)
    return _scaled(key, shape, uniform).to(torch.float16).to(torch.float32)


def _scaled(key: str, shape: Shape, uniform: Tensor) -> Tensor:
    if key.endswith('running_var'):
        return 0.5 + uniform
    centred = (uniform - 0.5) * 12**0.5
    if key.endswith('running_mean'):
        return 0.2 * centred
    if len(shape) >= 2:
        return centred * (_gain(key) / (prod(shape) / shape[0]) ** 0.5)
    if key.endswith('bias'):
        return 0.1 * centred
    return 0.25 + 0.1 * centred if key.endswith('bn3.weight') else 1 + 0.2 * centred


def _gain(key: str) -> float:
    if 'conv_seg' not in key:
        return 1.2
    return 2.0 if 'scale_attention.conv_seg' in key else 3.0


def read_shapes(path: Path, prefix: str = '') -> dict[str, Shape]:
    """Read lines of `key<TAB>(2, 3)` and put `prefix` before every key."""
    shapes: dict[str, Shape] = {}
    for line in path.read_text().splitlines():
        key, _, dimensions = line.partition('\t')
        sizes = dimensions.strip().strip('()').split(',')
        shapes[prefix + key] = tuple(int(size) for size in sizes if size.strip())
    return shapes


def state_dict(shapes: Mapping[str, Shape] | Path, prefix: str = '') -> dict[str, Tensor]:
    """Every tensor of a mapping (or a keys file) of published keys; `prefix` is put before."""
    if isinstance(shapes, Path):
        return {key: value(key, shape) for key, shape in read_shapes(shapes, prefix).items()}
    return {prefix + key: value(prefix + key, tuple(shape)) for key, shape in shapes.items()}


def checksum(tensor: Tensor) -> int:
    """crc32 of the bytes of a tensor, to compare with the figures of the published run."""
    return zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes())


def checksums(tensors: Mapping[str, Tensor], keys: Iterable[str]) -> dict[str, int]:
    """`checksum` of the named tensors."""
    return {key: checksum(tensors[key]) for key in keys}
