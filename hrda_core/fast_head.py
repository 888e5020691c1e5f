"""The decoder head for a deadline: DAFormer's, with narrow branches and a factored bottleneck."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hrda_core.heads import (
    DILATIONS,
    ConvNormReLU,
    DAFormerHead,
    SeparableConv,
    initialise,
    resize,
)

NARROWING = 4
"""How many times narrower than the head its branches and its 3x3 convolution are."""


class FastPyramid(nn.Module):
    """ASPP at a quarter of the width: 1x1 down, dilations 1, 6, 12, 18; 1x1 down, 3x3, 1x1 up.

    Shape:
        (B, inputs, h, w) to (B, outputs, h, w).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        narrow = max(outputs // NARROWING, 1)
        self.branches = nn.ModuleList([ConvNormReLU(inputs, narrow, 1)])
        self.branches.extend(
            nn.Sequential(ConvNormReLU(inputs, narrow, 1), SeparableConv(narrow, narrow, dilation))
            for dilation in DILATIONS
        )
        self.bottleneck = nn.Sequential(
            ConvNormReLU(len(self.branches) * narrow, narrow, 1),
            ConvNormReLU(narrow, narrow, 3),
            ConvNormReLU(narrow, outputs, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Fuse the branches."""
        fused: Tensor = self.bottleneck(torch.cat([b(features) for b in self.branches], dim=1))
        return fused


class FastDAFormerHead(nn.Module):
    """What DAFormer's head does with a twentieth of its products; taught by it (`hrda distill`).

    The levels are added instead of laid side by side, each enlarged to the next finer one first,
    so that nothing is four levels wide at stride 4. All that looks around works at a quarter of
    the width. At 512x512 px, MiT-B5 and widths of 256 it needs 3.1 GMAC in place of 56.9.

    Shape:
        four maps (B, C_i, h_i, w_i), finest first, to logits (B, classes, h_0, w_0).
    """

    level = 0
    """The encoder map whose stride the logits have."""

    def __init__(
        self, channels: Sequence[int], classes: int, embed: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Linear(c, embed) for c in channels)
        self.norm = nn.BatchNorm2d(embed)
        self.relu = nn.ReLU(inplace=True)
        self.fuse = FastPyramid(embed, width)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, classes, 1)
        initialise(self, self.classify)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits at the size of the finest map."""
        fused = self.fuse(self.relu(self.norm(self._added(features))))
        logits: Tensor = self.classify(self.dropout(fused))
        return logits

    def _added(self, features: Sequence[Tensor]) -> Tensor:
        """The sum of all embedded levels at the size of the finest."""
        coarser: Tensor | None = None
        for embed, level in zip(reversed(self.embed), reversed(features), strict=True):
            maps: Tensor = embed(level.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            if coarser is not None:
                maps = maps + resize(coarser, (maps.shape[-2], maps.shape[-1]))
            coarser = maps
        assert coarser is not None
        return coarser


def first_branch(exact: DAFormerHead) -> dict[str, Tensor]:
    """Weights with which a fast head sees the levels as the first branch of DAFormer's does.

    That branch convolves the embedded levels 1x1 and adds them up, so that a level's embedding
    and its part of the convolution are one linear layer: the fast head's embedding, if that is as
    wide as the head. The branch's norm follows, as in the fast head.

    Returns:
        Tensors by the names that they have in a `FastDAFormerHead`.
    """
    state, first = exact.state_dict(), 'fuse.branches.0.'
    parts = state[f'{first}conv.weight'][:, :, 0, 0].chunk(len(exact.embed), dim=1)
    tensors = {
        name.removeprefix(first): tensor
        for name, tensor in state.items()
        if name.startswith(f'{first}norm.')
    }
    for level, part in enumerate(parts):
        for kind in ('weight', 'bias'):
            tensors[f'embed.{level}.{kind}'] = part @ state[f'embed.{level}.{kind}']
    return tensors
