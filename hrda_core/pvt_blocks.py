"""The blocks of MiT (timm's PVTv2) for inference: same weights, no copies between formats.

timm turns tokens into maps by transposing them, and for a single image torch then takes the maps
for ones that lie channel by channel, which copies them before and after each convolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.models.pvt_v2 import Attention, MlpWithDepthwiseConv
from torch import Tensor, nn

LARGEST_TABLE = 32 * 2**20
"""Largest table of attention weights that is written out [values]."""


def streamline(network: nn.Module) -> None:
    """Replace timm's PVTv2 attention and MLP by the ones below, in place, sharing weights."""
    replacements: dict[str, nn.Module] = {}
    for path, module in network.named_modules():
        if type(module) is MlpWithDepthwiseConv:
            replacements[path] = MapMlp(module)
        elif type(module) is Attention and module.pool is None:
            replacements[path] = MapAttention(module)
    for path, module in replacements.items():
        network.set_submodule(path, module)


class MapMlp(nn.Module):
    """MLP with a depthwise convolution in between.

    Shape:
        (B, N, C) tokens of maps of `feat_size`, (height, width), to (B, N, C).
    """

    def __init__(self, mlp: MlpWithDepthwiseConv) -> None:
        super().__init__()
        self.fc1, self.dwconv, self.fc2 = mlp.fc1, mlp.dwconv, mlp.fc2
        self.relu, self.act = mlp.relu, mlp.act

    def forward(self, tokens: Tensor, feat_size: tuple[int, int]) -> Tensor:
        """Widen, convolve, narrow."""
        maps = self.relu(_as_maps(self.fc1(tokens), feat_size))
        mixed = self.act(_as_tokens(self.dwconv(maps)))
        result: Tensor = self.fc2(mixed)
        return result


class MapAttention(nn.Module):
    """Attention from every token to those of a reduced map.

    Shape:
        (B, N, C) tokens of maps of `feat_size`, (height, width), to (B, N, C).
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.q, self.kv, self.proj = attention.q, attention.kv, attention.proj
        self.sr, self.norm = attention.sr, attention.norm
        self.heads = attention.num_heads

    def forward(self, tokens: Tensor, feat_size: tuple[int, int]) -> Tensor:
        """Attend, then project."""
        batch, count, width = tokens.shape
        seen = tokens
        if self.sr is not None:
            seen = self.norm(_as_tokens(self.sr(_as_maps(tokens, feat_size))))
        query = self.q(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
        pairs = self.kv(seen).unflatten(2, (2, self.heads, -1))
        key, value = pairs.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = _attend(query, key, value).transpose(1, 2).reshape(batch, count, width)
        result: Tensor = self.proj(mixed)
        return result


def _as_maps(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    return tokens.contiguous().view(tokens.shape[0], *size, -1).permute(0, 3, 1, 2)


def _as_tokens(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of (B, heads, N, c) over (B, heads, K, c)."""
    small = query.shape[:-1].numel() * key.shape[-2] <= LARGEST_TABLE
    if query.device.type == 'cpu' and query.dtype == torch.bfloat16 and small:
        # torch's fused kernel is no faster in bfloat16 than in float32 on a CPU.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        mixed: Tensor = scores.softmax(dim=-1) @ value
        return mixed
    return F.scaled_dot_product_attention(query, key, value)
