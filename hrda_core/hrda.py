"""HRDA: one encoder and decoder at two resolutions, fused by a learned scale attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.encoders import Encoder
from hrda_core.fast_head import FastDAFormerHead
from hrda_core.heads import DAFormerHead, DeepLabV2Head, ScaleAttentionHead, resize
from hrda_core.windows import Box, WindowPlan, detail_boxes

if TYPE_CHECKING:
    from hrda_core.engines import Engine


class ContextPrediction(NamedTuple):
    """What the low-resolution branch says.

    Attributes:
        logits: (B, C, h, w) at stride s of the resized context crop.
        attention: (B, C or 1, h, w) after the sigmoid, 0 (context) to 1 (detail); None for
            a network of one resolution.
        features: the four encoder maps, finest first.
    """

    logits: Tensor
    attention: Tensor | None
    features: list[Tensor]


class TrainingOutput(NamedTuple):
    """What one training forward gives (spec section 2.1).

    Attributes:
        fused: (B, C, H / s, W / s) logits of the whole context crop.
        weighted_context: (B, C, h, w), context logits times (1 - attention), or None.
        detail: (B, C, box / s) logits of the detail box, or None.
        attention: (B, C or 1, h, w), masked to the box, or None.
        features: four encoder maps of the resized context crop.
        detail_features: four encoder maps of the detail box, or None.
    """

    fused: Tensor
    weighted_context: Tensor | None
    detail: Tensor | None
    attention: Tensor | None
    features: list[Tensor]
    detail_features: list[Tensor] | None = None


class CropPrediction(NamedTuple):
    """The prediction of one context crop at inference, all at stride s of the crop.

    Attributes:
        fused: (B, C, H / s, W / s) logits.
        context: (B, C, h, w) logits of the low-resolution branch.
        detail: (B, C, H / s, W / s) merged logits of the detail windows, or None.
        attention: (B, C or 1, h, w), or None.
    """

    fused: Tensor
    context: Tensor
    detail: Tensor | None
    attention: Tensor | None


def fuse(
    context_logits: Tensor,
    attention: Tensor,
    detail_logits: Tensor,
    detail_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Fuse the two resolutions: the one place of the formula (spec section 2.1, step 5).

    The context is weighted by (1 - attention) at its own resolution and only then enlarged;
    the mask, too, acts before the attention is enlarged. Both orders matter.

    Shape:
        context_logits: (B, C, h, w); attention: (B, C or 1, h, w) in 0..1;
        detail_logits: (B, C, H, W), zero where there is no detail;
        detail_mask: broadcastable to (B, 1, h, w), 1 where there is detail, or None for
        everywhere. Result: fused (B, C, H, W) and weighted context (B, C, h, w).
    """
    if detail_mask is not None:
        attention = attention * detail_mask
    weighted_context = (1 - attention) * context_logits
    height, width = detail_logits.shape[-2:]
    enlarged = resize(attention, (height, width))
    fused = enlarged * detail_logits + resize(weighted_context, (height, width))
    return fused, weighted_context


def cut(images: Tensor, boxes: Sequence[Box]) -> Tensor:
    """Cut equally sized boxes out of every image, box by box.

    Shape:
        images (B, C, H, W) to (len(boxes) * B, C, h, w).
    """
    return torch.cat([images[..., b.y1 : b.y2, b.x1 : b.x2] for b in boxes])


def merge_windows(logits: Tensor, boxes: Sequence[Box], size: tuple[int, int]) -> Tensor:
    """Average window logits on a canvas (spec section 2.3).

    Shape:
        logits: (N, B, C, h, w), one entry per box; boxes: N boxes on the canvas' own grid that
        together cover it; size: (H, W). Result: (B, C, H, W).
    """
    canvas = logits.new_zeros((*logits.shape[1:3], *size))
    count = logits.new_zeros((1, 1, *size))
    for window, box in zip(logits, boxes, strict=True):
        canvas[..., box.y1 : box.y2, box.x1 : box.x2] += window
        count[..., box.y1 : box.y2, box.x1 : box.x2] += 1
    return canvas / count


class HRDA(nn.Module):
    """The network. Training and inference differ in how they choose windows, nothing else.

    Args:
        architecture: sizes, encoder and normalisation.
        classes: the classes it tells apart.
        pretrained: whether timm downloads encoder weights.

    Attributes:
        stride: input pixels per logit of the heads: 4, or 8 of DeepLabV2 on a dilated ResNet.
        step: training steps its weights have seen.
        metadata: what its checkpoint says of it, by `load_model`.
        checkpoint: the file that `load_model` took it from, or None.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, architecture: Architecture, classes: ClassSet, pretrained: bool = False
    ) -> None:
        super().__init__()
        a = architecture
        self.architecture, self.classes = a, classes
        self.step = 0
        self.metadata: dict[str, str] = {}
        self.checkpoint: Path | None = None
        self.encoder = Encoder(a.encoder, a.drop_path, pretrained)
        self.head = self._build_head()
        self.attention_head: DeepLabV2Head | ScaleAttentionHead | None = None
        if a.multi_resolution and a.fixed_attention is None:
            self.attention_head = self._build_attention_head()
        self.stride = self.encoder.strides[self.head.level]
        # Known from the architecture, so not part of the weights.
        self.register_buffer('mean', torch.tensor(a.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(a.std).view(1, 3, 1, 1), persistent=False)

    def _build_head(self) -> DeepLabV2Head | DAFormerHead | FastDAFormerHead:
        a, channels, outputs = self.architecture, self.encoder.channels, len(self.classes)
        if a.head == 'deeplab_v2':
            return DeepLabV2Head(channels, outputs)
        kind = FastDAFormerHead if a.head == 'daformer_fast' else DAFormerHead
        return kind(channels, outputs, a.embed_channels, a.head_channels, a.dropout)

    def _build_attention_head(self) -> DeepLabV2Head | ScaleAttentionHead:
        a, channels = self.architecture, self.encoder.channels
        outputs = len(self.classes) if a.attention == 'classwise' else 1
        if a.head == 'deeplab_v2':
            return DeepLabV2Head(channels, outputs)
        embed = a.attention_embed_channels
        return ScaleAttentionHead(channels, outputs, embed, a.head_channels, a.dropout)

    def without_weights(self, device: torch.device) -> HRDA:
        """The same network in all but its weights, which take no memory.

        It prepares images on the device and plans; an engine computes.
        """
        with torch.device('meta'):
            outline = HRDA(self.architecture, self.classes)
        outline.mean, outline.std = self.mean.to(device), self.std.to(device)
        outline.step, outline.metadata = self.step, self.metadata
        outline.checkpoint = self.checkpoint
        return outline.eval()

    def normalise(self, images: Tensor) -> Tensor:
        """Prepare RGB images of 0..255 (any dtype), (B, 3, H, W), on the model's device."""
        return (images.to(self.mean.device, torch.float32) - self.mean) / self.std

    def denormalise(self, images: Tensor) -> Tensor:
        """Normalised images back to RGB of 0..1, (B, 3, H, W), unclamped."""
        return (images * self.std + self.mean) / 255.0

    def shrink(self, images: Tensor) -> Tensor:
        """Context crops at the resolution of the context branch."""
        if not self.architecture.multi_resolution:
            return images
        scale = self.architecture.context_scale
        height, width = images.shape[-2:]
        return resize(images, (int(height * scale), int(width * scale)))

    def context(self, images: Tensor) -> ContextPrediction:
        """Run the context branch on crops that are already shrunk, (B, 3, h, w)."""
        features = self.encoder(images)
        logits = self.head(features)
        attention = None
        if self.attention_head is not None:
            attention = torch.sigmoid(self.attention_head(features))
        elif self.architecture.fixed_attention is not None:
            attention = torch.full_like(logits[:, :1], self.architecture.fixed_attention)
        return ContextPrediction(logits, attention, features)

    def detail(self, windows: Tensor) -> Tensor:
        """Logits of full-resolution windows: (N, 3, h, w) to (N, C, h / s, w / s)."""
        logits: Tensor = self.head(self.encoder(windows))
        return logits

    def detail_source(self, images: Tensor) -> Tensor:
        """The images (B, 3, H, W) that detail windows are cut from."""
        if not self.architecture.detail_blur:
            return images
        return resize(self.shrink(images), (images.shape[-2], images.shape[-1]))

    def forward(self, images: Tensor, box: Box | None = None) -> TrainingOutput:
        """Training forward with one detail box for the whole batch (spec section 2.1).

        Args:
            images: normalised context crops (B, 3, H, W), sides divisible by 16.
            box: detail box with corners divisible by 4; None for one-resolution networks.

        Raises:
            ValueError: a box is missing, or given to a network that has no detail branch.
        """
        if (box is not None) != self.architecture.multi_resolution:
            raise ValueError(
                f'a network with attention {self.architecture.attention!r} was given box {box}'
            )
        context = self.context(self.shrink(images))
        if box is None or context.attention is None:
            return TrainingOutput(context.logits, None, None, None, context.features)
        detail_features = self.encoder(self.cut_detail(images, box))
        detail = self.head(detail_features)
        height, width = images.shape[-2:]
        canvas = detail.new_zeros(*detail.shape[:2], height // self.stride, width // self.stride)
        on_canvas = box.divided(self.stride)
        canvas[..., on_canvas.y1 : on_canvas.y2, on_canvas.x1 : on_canvas.x2] = detail
        mask = torch.zeros_like(context.attention[:1, :1])
        inside = box.divided(self.stride / self.architecture.context_scale)
        mask[..., inside.y1 : inside.y2, inside.x1 : inside.x2] = 1
        fused, weighted = fuse(context.logits, context.attention, canvas, mask)
        masked = context.attention * mask
        return TrainingOutput(fused, weighted, detail, masked, context.features, detail_features)

    def cut_detail(self, images: Tensor, box: Box) -> Tensor:
        """What the detail branch sees of context crops (B, 3, H, W): (B, 3, box)."""
        return cut(self.detail_source(images), [box])

    def predict(self, images: Tensor) -> Tensor:
        """Logits of context crops at full size: (B, 3, H, W) to (B, C, H, W)."""
        return resize(self.predict_crop(images).fused, (images.shape[-2], images.shape[-1]))

    def predict_crop(self, images: Tensor) -> CropPrediction:
        """Predict context crops (B, 3, H, W), with what each resolution says.

        All windows go through the network in one batch, as batch statistics of a teacher in
        training mode require (spec section 2.3).
        """
        height, width = images.shape[-2:]
        whole = Box(0, height, 0, width)
        windows: tuple[Box, ...] = ()
        if self.architecture.multi_resolution:
            windows = detail_boxes(height, width, self.architecture)
        plan = WindowPlan(height, width, (whole,), windows, (tuple(range(len(windows))),))
        _, crop = next(self.predict_crops(images, plan))
        return crop

    def predict_crops(
        self,
        images: Tensor,
        plan: WindowPlan,
        batch: int | None = None,
        engine: Engine | None = None,
    ) -> Iterator[tuple[Box, CropPrediction]]:
        """Predict every context crop of a plan, computing shared detail windows once.

        Args:
            images: normalised (B, 3, plan.height, plan.width).
            plan: context crops and detail windows.
            batch: how many crops or windows go through the network at once; None for all.
            engine: what computes the network; None for itself.

        Yields:
            Each context box with its prediction, in the order of the plan.
        """
        engine = engine or self
        crops = [cut(images, [box]) for box in plan.contexts]
        groups = _groups(len(crops), batch)
        contexts = [
            # Their features are as large as all else together, and nobody asks for them here.
            engine.context(self.shrink(torch.cat(crops[a:b])))._replace(features=[])
            for a, b in groups
        ]
        logits = torch.cat([c.logits for c in contexts])
        per_image = images.shape[0]
        if not self.architecture.multi_resolution:
            for box, part in zip(plan.contexts, torch.split(logits, per_image), strict=True):
                yield box, CropPrediction(part, part, None, None)
            return
        attention = torch.cat([c.attention for c in contexts if c.attention is not None])
        source = self.detail_source(images)
        details = torch.cat(
            [
                engine.detail(cut(source, plan.windows[a:b]))
                for a, b in _groups(len(plan.windows), batch)
            ]
        )
        details = details.reshape(len(plan.windows), per_image, *details.shape[1:])
        parts = zip(torch.split(logits, per_image), torch.split(attention, per_image), strict=True)
        for box, members, (part, weight) in zip(plan.contexts, plan.members, parts, strict=True):
            inner = [plan.windows[i].inside(box).divided(self.stride) for i in members]
            size = (-(-box.height // self.stride), -(-box.width // self.stride))
            merged = merge_windows(details[list(members)], inner, size)
            fused, _ = fuse(part, weight, merged)
            yield box, CropPrediction(fused, part, merged, weight)


def _groups(count: int, batch: int | None) -> list[tuple[int, int]]:
    size = batch or max(count, 1)
    return [(start, min(start + size, count)) for start in range(0, count, size)]
