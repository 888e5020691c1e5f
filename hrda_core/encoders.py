"""Encoders: timm models as pyramids of four feature maps, at strides 4, 8, 16 and 32 as a rule."""

from __future__ import annotations

import difflib

import timm
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)
MIT = {f'mit_b{i}': f'pvt_v2_b{i}' for i in range(6)}
"""MiT-B0..B5 are timm's PVTv2 with the MLP ratios below (spec section 1.1)."""
MIT_MLP_RATIOS = (4, 4, 4, 4)
DILATED = {'resnet50_v1c': 'resnet50c', 'resnet101_v1c': 'resnet101c'}
"""ResNets with a deep stem whose last stages dilate instead of striding (spec section 1.4)."""
DILATED_STRIDE = 8


class Encoder(nn.Module):
    """A timm `features_only` model reduced to the four levels that the heads expect.

    Shape:
        Input (B, 3, H, W), normalised; output four maps (B, C_i, ~H / s_i, ~W / s_i) with
        `channels` C_i and `strides` s_i: 4, 8, 16, 32, or 4, 8, 8, 8 of a dilated ResNet.

    Args:
        name: mit_b0..mit_b5, resnet50_v1c, resnet101_v1c or a timm model name.
        drop_path: stochastic depth rate of the last block.
        pretrained: whether timm downloads its weights (not for MiT-B0..B4, whose MLP ratios
            differ from timm's PVTv2).

    Raises:
        ValueError: timm does not know the model, or it has no such pyramid.
    """

    def __init__(self, name: str, drop_path: float = 0.0, pretrained: bool = False) -> None:
        super().__init__()
        self.name = name
        options: dict[str, object] = {'drop_path_rate': drop_path, 'pretrained': pretrained}
        if name in MIT:
            if pretrained and name != 'mit_b5':
                raise ValueError(
                    f'{name} has no downloadable weights; import mit_b*.pth with `hrda import`'
                )
            options['mlp_ratios'] = MIT_MLP_RATIOS
        self.strides: tuple[int, ...] = STRIDES
        if name in DILATED:
            self.strides = (4, *[DILATED_STRIDE] * 3)
            options |= {'output_stride': DILATED_STRIDE}
        self.body, self.channels = _build_pyramid(name, options, self.strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the four maps, finest first."""
        maps = self.body(images)
        # Some timm families (Swin) hand out channels-last maps.
        return [
            level if level.shape[1] == channels else level.permute(0, 3, 1, 2)
            for level, channels in zip(maps, self.channels, strict=True)
        ]


def _build_pyramid(
    name: str, options: dict[str, object], strides: tuple[int, ...]
) -> tuple[nn.Module, tuple[int, ...]]:
    timm_name = (MIT | DILATED).get(name, name)
    if not timm.is_model(timm_name):
        near = difflib.get_close_matches(name, [*MIT, *DILATED, *timm.list_models()], 1)
        hint = f'; did you mean {near[0]}?' if near else ''
        raise ValueError(
            f'unknown encoder {name!r}: expected {", ".join(MIT | DILATED)} or one of '
            f'timm.list_models(){hint}'
        )
    try:
        probe = timm.create_model(timm_name, features_only=True)
        reductions = probe.feature_info.reduction()
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError(f'encoder {name!r} gives no feature pyramid: {error}') from error
    if not set(STRIDES) <= set(reductions):
        raise ValueError(
            f'encoder {name!r} has feature strides {reductions}; {list(STRIDES)} are needed '
            '(for example mit_b0, tiny_vit_5m_224, convnext_tiny, tf_efficientnet_lite0)'
        )
    # The last map of a stride is its most processed one. A dilated network has the maps of the
    # plain one, at other strides.
    indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in STRIDES]
    wanted = {'features_only': True, 'out_indices': indices}
    try:
        body = timm.create_model(timm_name, **wanted, **options)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f'the weights of {name!r} cannot be downloaded ({str(error).partition(chr(10))[0]}); '
            'set model.encoder_weights to a file, or model.pretrained to false'
        ) from error
    except TypeError:  # a family without stochastic depth
        options = {key: value for key, value in options.items() if key != 'drop_path_rate'}
        body = timm.create_model(timm_name, **wanted, **options)
    found = tuple(body.feature_info.reduction())
    if found != strides:
        raise ValueError(f'encoder {name!r} has feature strides {found} instead of {strides}')
    return body, tuple(body.feature_info.channels())
