"""Decoder heads: DAFormer's and DeepLabV2's, and the scale-attention head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrda_core.depthwise import dilated_depthwise
from hrda_core.tracing import is_traced
from hrda_core.winograd import WinogradConv2d

DILATIONS = (6, 12, 18)
DEEPLAB_DILATIONS = (6, 12)


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize without aligned corners, the only interpolation of the network.

    Shape:
        (B, C, H, W) to (B, C, *size).
    """
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode='bilinear', align_corners=False)


def side_by_side(levels: Sequence[Tensor]) -> Tensor:
    """All levels at the size of the first: (B, C_i, h_i, w_i) to (B, sum of C_i, h_0, w_0)."""
    size = (levels[0].shape[-2], levels[0].shape[-1])
    return torch.cat([resize(level, size) for level in levels], dim=1)


class ConvNormReLU(nn.Sequential):
    """Convolution without bias, batch norm, ReLU; the size of the map is kept."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        if (kernel, dilation, groups) == (3, 1, 1):
            self.conv: nn.Conv2d = WinogradConv2d(inputs, outputs, bias=False)
        else:
            shape = (kernel, 1, padding, dilation, groups)
            self.conv = nn.Conv2d(inputs, outputs, *shape, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)


class LevelsConvNormReLU(ConvNormReLU):
    """A 1x1 convolution over levels side by side, then batch norm and ReLU.

    Each level is convolved before it is enlarged, which gives the same (the weights of a resize
    add up to one) for a third of the products and without the large map of all levels.

    Shape:
        levels (B, C_i, h_i, w_i), finest first, to (B, outputs, h_0, w_0).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Fuse the levels."""
        size = (levels[0].shape[-2], levels[0].shape[-1])
        weights = torch.split(self.conv.weight, [level.shape[1] for level in levels], 1)
        convolved = F.conv2d(levels[0], weights[0], self.conv.bias)
        for level, weight in zip(levels[1:], weights[1:], strict=True):
            convolved = convolved + resize(F.conv2d(level, weight), size)
        fused: Tensor = self.relu(self.norm(convolved))
        return fused


class SeparableConv(nn.Sequential):
    """Depthwise dilated 3x3 and pointwise 1x1, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = ConvNormReLU(inputs, inputs, 3, dilation, groups=inputs)
        self.pointwise = ConvNormReLU(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h, w)."""
        if features.device.type != 'cpu':
            spread = self.depthwise(features)
        elif is_traced():
            # The slow kernels are those for channels last.
            spread = self.depthwise(features.contiguous())
        else:
            layer, conv = self.depthwise, self.depthwise.conv
            convolved = dilated_depthwise(features, conv.weight, conv.dilation[0], conv.bias)
            spread = layer.relu(layer.norm(convolved))
        mixed: Tensor = self.pointwise(spread)
        return mixed


class AtrousPyramid(nn.Module):
    """ASPP without image pooling: dilations 1, 6, 12, 18, then a 3x3 bottleneck.

    Shape:
        levels (B, C_i, h_i, w_i), finest first, whose channels add up to `inputs`, to
        (B, outputs, h_0, w_0). Source: spec section 1.2.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([LevelsConvNormReLU(inputs, outputs)])
        self.branches.extend(SeparableConv(inputs, outputs, d) for d in DILATIONS)
        self.bottleneck = ConvNormReLU(len(self.branches) * outputs, outputs, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Fuse the branches."""
        fused: Tensor = self.bottleneck(self._branched(levels))
        return fused

    def _branched(self, levels: Sequence[Tensor]) -> Tensor:
        """All branches side by side; the large map that they see does not outlive this."""
        near, *wide = self.branches
        features = side_by_side(levels)
        return torch.cat([near(levels), *(branch(features) for branch in wide)], dim=1)


def initialise(head: nn.Module, classify: nn.Conv2d) -> None:
    """Give the convolutions of a head their starting weights, small ones to its classifier."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
    nn.init.normal_(classify.weight, std=0.01)
    if classify.bias is not None:
        nn.init.zeros_(classify.bias)


class _PyramidHead(nn.Module):
    """Embeds four encoder levels at stride 4, fuses them and classifies every cell."""

    level = 0
    """The encoder map whose stride the logits have."""

    def __init__(
        self,
        channels: Sequence[int],
        embed: int,
        fuse: nn.Module,
        width: int,
        outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Linear(c, embed) for c in channels)
        self.fuse = fuse
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, outputs, 1)
        initialise(self, self.classify)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits at the size of the finest map: (B, outputs, H / 4, W / 4)."""
        logits: Tensor = self.classify(self.dropout(self.fuse(self._embedded(features))))
        return logits

    def _embedded(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [
            embed(level.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            for embed, level in zip(self.embed, features, strict=True)
        ]


class DAFormerHead(_PyramidHead):
    """Segmentation head of DAFormer with separable ASPP fusion (spec section 1.2).

    Shape:
        four maps (B, C_i, h_i, w_i) to logits (B, classes, h_0, w_0).
    """

    def __init__(
        self, channels: Sequence[int], classes: int, embed: int, width: int, dropout: float
    ) -> None:
        pyramid = AtrousPyramid(len(channels) * embed, width)
        super().__init__(channels, embed, pyramid, width, classes, dropout)


class ScaleAttentionHead(_PyramidHead):
    """Scale attention: the same embedding, fused by one 1x1 convolution (spec section 1.3).

    Shape:
        four context maps to attention logits (B, classes or 1, h_0, w_0), before the sigmoid.
    """

    def __init__(
        self, channels: Sequence[int], outputs: int, embed: int, width: int, dropout: float
    ) -> None:
        fuse = LevelsConvNormReLU(len(channels) * embed, width)
        super().__init__(channels, embed, fuse, width, outputs, dropout)


class DeepLabV2Head(nn.Module):
    """Sum of two dilated 3x3 convolutions of the last encoder map (spec section 1.4).

    It serves as segmentation head and as scale-attention head.

    Shape:
        four maps (B, C_i, h_i, w_i) to logits (B, outputs, h_3, w_3).
    """

    level = -1

    def __init__(self, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels[-1], outputs, 3, padding=d, dilation=d) for d in DEEPLAB_DILATIONS
        )
        for name, parameter in self.branches.named_parameters():
            nn.init.normal_(parameter, std=0.01 if name.endswith('weight') else 0.0)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits at the size of the last map."""
        logits: Tensor = sum(branch(features[-1]) for branch in self.branches)
        return logits
