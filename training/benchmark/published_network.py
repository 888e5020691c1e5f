"""The forward passes of HRDA as published, on the modules of a network of this project.

Maps are in memory row by row, every window is cut out and kept, every convolution is torch's, and
attention is written out: softmax(q k^T) v.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrda_core.heads import (
    AtrousPyramid,
    ConvNormReLU,
    DAFormerHead,
    ScaleAttentionHead,
    SeparableConv,
)
from hrda_core.hrda import HRDA, TrainingOutput
from hrda_core.windows import Box, detail_boxes


class PublishedNetwork:
    """Runs a network with learnt attention and DAFormer heads (HRDA spec 1.2, 1.3 and 2).

    Args:
        model: whose modules are used; its attention is written out from now on.
    """

    def __init__(self, model: HRDA) -> None:
        self.model = model
        write_out_attention(model.encoder)

    def train_forward(self, images: Tensor, box: Box) -> TrainingOutput:
        """Context, detail crop and their fusion, see `HRDA.forward`."""
        stride, size = self.model.stride, self.model.architecture
        features = self.model.encoder(self._shrink(images))
        context = decode(self.model.head, features)
        attention = torch.sigmoid(decode(self.model.attention_head, features))
        crop = images[:, :, box.y1 : box.y2, box.x1 : box.x2]
        detail_features = self.model.encoder(crop)
        detail = decode(self.model.head, detail_features)
        mask = torch.zeros_like(attention)
        inner = box.divided(stride / size.context_scale)
        mask[:, :, inner.y1 : inner.y2, inner.x1 : inner.x2] = 1
        attention = attention * mask
        canvas = torch.zeros_like(_enlarge(context, 1 / size.context_scale))
        outer = box.divided(stride)
        canvas[:, :, outer.y1 : outer.y2, outer.x1 : outer.x2] = detail
        context = (1 - attention) * context
        scale = 1 / size.context_scale
        fused = _enlarge(attention, scale) * canvas + _enlarge(context, scale)
        return TrainingOutput(fused, context, detail, attention, features, detail_features)

    def predict(self, images: Tensor, batch: int | None = None) -> Tensor:
        """Logits of context crops at full size.

        Args:
            images: normalised crops (B, 3, H, W).
            batch: most crops or windows at once; None for all of each kind, as published.
        """
        stride, size = self.model.stride, self.model.architecture
        seen = [self._context(part) for part in self._shrink(images).split(batch or len(images))]
        context, attention = (torch.cat(parts) for parts in zip(*seen, strict=True))
        height, width = images.shape[-2:]
        boxes = detail_boxes(height, width, size)
        windows = torch.cat([images[:, :, b.y1 : b.y2, b.x1 : b.x2] for b in boxes])
        parts = windows.split(batch or len(windows))
        logits = torch.cat([decode(self.model.head, self.model.encoder(part)) for part in parts])
        detail = logits.new_zeros(len(images), logits.shape[1], height // stride, width // stride)
        count = torch.zeros_like(detail[:, :1])
        for box, window in zip(boxes, logits.split(len(images)), strict=True):
            place = box.divided(stride)
            detail[:, :, place.y1 : place.y2, place.x1 : place.x2] += window
            count[:, :, place.y1 : place.y2, place.x1 : place.x2] += 1
        scale = 1 / size.context_scale
        fused = _enlarge(attention, scale) * (detail / count)
        fused = fused + _enlarge((1 - attention) * context, scale)
        return F.interpolate(fused, size=(height, width), mode='bilinear', align_corners=False)

    def _context(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.model.encoder(images)
        attention = torch.sigmoid(decode(self.model.attention_head, features))
        return decode(self.model.head, features), attention

    def _shrink(self, images: Tensor) -> Tensor:
        return _enlarge(images, self.model.architecture.context_scale)


def write_out_attention(encoder: nn.Module) -> None:
    """Have the blocks of a timm model compute attention in steps, as the published code does."""
    for module in encoder.modules():
        if hasattr(module, 'fused_attn'):
            setattr(module, 'fused_attn', False)  # noqa: B010


def decode(head: nn.Module | None, features: list[Tensor]) -> Tensor:
    """Logits of one head: embed each level, enlarge, concatenate, fuse, classify.

    Shape:
        four maps (B, C_i, h_i, w_i) to (B, outputs, h_0, w_0).
    """
    assert isinstance(head, (DAFormerHead, ScaleAttentionHead))
    levels = []
    for embed, level in zip(head.embed, features, strict=True):
        tokens = embed(level.flatten(2).transpose(1, 2)).transpose(1, 2).contiguous()
        maps = tokens.reshape(len(level), -1, *level.shape[2:])
        size = (features[0].shape[2], features[0].shape[3])
        levels.append(F.interpolate(maps, size=size, mode='bilinear', align_corners=False))
    stacked = torch.cat(levels, dim=1)
    if isinstance(head.fuse, AtrousPyramid):
        fused = _pyramid(head.fuse, stacked)
    else:
        fused = _convolve(head.fuse, stacked)
    logits: Tensor = head.classify(head.dropout(fused))
    return logits


def _pyramid(pyramid: AtrousPyramid, maps: Tensor) -> Tensor:
    outputs = []
    for branch in pyramid.branches:
        if isinstance(branch, SeparableConv):
            outputs.append(_convolve(branch.pointwise, _convolve(branch.depthwise, maps)))
        else:
            outputs.append(_convolve(branch, maps))
    return _convolve(pyramid.bottleneck, torch.cat(outputs, dim=1))


def _convolve(layer: nn.Module, maps: Tensor) -> Tensor:
    assert isinstance(layer, ConvNormReLU)
    # Past what the layers of this project do instead.
    convolved: Tensor = layer.relu(layer.norm(nn.Conv2d.forward(layer.conv, maps)))
    return convolved


def _enlarge(maps: Tensor, scale: float) -> Tensor:
    return F.interpolate(maps, scale_factor=scale, mode='bilinear', align_corners=False)
