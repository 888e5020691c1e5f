"""Everything that is needed to rebuild a network before its weights are loaded."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

HeadName = Literal['daformer', 'daformer_fast', 'deeplab_v2']
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
SMALLEST_SEEN = 32
"""Below this side an image leaves a deep encoder level empty [px]."""


@dataclass(frozen=True)
class Architecture:
    """Shape of the network and how it sees an image (spec section 1 and 2).

    Attributes:
        encoder: mit_b0..mit_b5, resnet50_v1c or resnet101_v1c (dilated, stride 8), or any timm
            `features_only` model.
        head_channels: width of the fused features in the DAFormer heads.
        embed_channels: width each encoder level is projected to in them.
        attention_embed_channels: the same width in the scale-attention head.
        attention: one attention value per class, a single one, or no second resolution at
            all (`none`: plain DAFormer).
        context_size: side of a context crop [px of the scaled image].
        detail_size: side of a detail window [px of the scaled image].
        context_scale: resize factor of a context crop before the encoder; 1 looks at the same
            scale twice (an ablation).
        fixed_attention: attention of every pixel, 0 (context alone) to 1 (detail alone),
            instead of a learned one (an ablation); None learns it.
        detail_overlap: detail windows slide by half their size; False puts them side by side.
        head: DAFormer's; daformer_fast, which stands in for it with a twentieth of its products
            and is to be taught by it; or DeepLabV2's with two dilations (the paper's Table 2),
            which looks at the last encoder map alone and has none of the widths above.
        detail_blur: take from detail windows what the context scale cannot show (an ablation).
        drop_path: largest stochastic depth rate of the encoder, rising linearly.
        dropout: channel dropout before the classifiers.
        mean: RGB mean, 0..255, subtracted from images.
        std: RGB standard deviation, 0..255.
        mode: context crops slide over an image, or one context holds the whole image.
        image_scale: factor by which a camera image is resized before the network sees it.
    """

    encoder: str = 'mit_b5'
    head_channels: int = 256
    embed_channels: int = 256
    attention_embed_channels: int = 256
    attention: Literal['classwise', 'single', 'none'] = 'classwise'
    context_size: int = 1024
    detail_size: int = 512
    context_scale: float = 0.5
    fixed_attention: float | None = None
    detail_overlap: bool = True
    detail_blur: bool = False
    head: HeadName = 'daformer'
    drop_path: float = 0.1
    dropout: float = 0.1
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    mode: Literal['slide', 'whole'] = 'slide'
    image_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ('head_channels', 'embed_channels', 'attention_embed_channels'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} {getattr(self, name)} must be at least 1')
        for name in ('context_size', 'detail_size'):
            value = getattr(self, name)
            if value < 64 or value % 16:
                raise ValueError(f'{name} {value} must be a multiple of 16, at least 64')
        if self.attention not in ('classwise', 'single', 'none'):
            raise ValueError(f'attention {self.attention!r}: expected classwise, single or none')
        if self.head not in get_args(HeadName):
            raise ValueError(f'head {self.head!r}: expected {", ".join(get_args(HeadName))}')
        if self.mode not in ('slide', 'whole'):
            raise ValueError(f'mode {self.mode!r}: expected slide or whole')
        if self.multi_resolution and self.detail_size > self.context_size:
            raise ValueError(
                f'detail_size {self.detail_size} exceeds context_size {self.context_size}'
            )
        if not 0 < self.context_scale <= 1:
            raise ValueError(f'context_scale {self.context_scale} is outside (0, 1]')
        if self.multi_resolution and self.context_size * self.context_scale < SMALLEST_SEEN:
            raise ValueError(
                f'context_size {self.context_size} at context_scale {self.context_scale} leaves '
                f'fewer than {SMALLEST_SEEN} px for the encoder; raise one of the two'
            )
        if self.fixed_attention is not None and not 0 <= self.fixed_attention <= 1:
            raise ValueError(f'fixed_attention {self.fixed_attention} is outside 0..1')
        if not self.multi_resolution and (self.fixed_attention is not None or self.detail_blur):
            raise ValueError(
                "attention 'none' has no detail branch: leave fixed_attention and detail_blur out"
            )
        if not 0.1 <= self.image_scale <= 10:
            raise ValueError(f'image_scale {self.image_scale} is outside 0.1..10')
        if min(self.std) <= 0:
            raise ValueError(f'std {self.std} must be positive')

    @property
    def multi_resolution(self) -> bool:
        """Whether there is a second resolution with scale attention."""
        return self.attention != 'none'

    def to_json(self) -> str:
        """The fields as JSON text, for checkpoint metadata."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Rebuild from `to_json`; ValueError on unknown or missing fields."""
        values: dict[str, Any] = json.loads(text)
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(values) - known:
            raise ValueError(f'unknown architecture fields {sorted(unknown)}')
        for name in ('mean', 'std'):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)
