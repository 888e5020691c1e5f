"""Encoders: timm models as pyramids of four feature maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

import timm
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)
MIT = {f'mit_b{i}': f'pvt_v2_b{i}' for i in range(6)}
"""MiT-B0..B5 are timm's PVTv2 with the MLP ratios below (spec section 1.1)."""
MIT_MLP_RATIOS = (4, 4, 4, 4)


class Encoder(nn.Module):
    """A timm `features_only` model reduced to the four levels that the heads expect.

    Shape:
        Input (B, 3, H, W), normalised; output four maps (B, C_i, ~H / s_i, ~W / s_i) for the
        strides 4, 8, 16, 32, with `channels` C_i.

    Args:
        name: mit_b0..mit_b5 or a timm model name.
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
        self.body, self.channels = _build_pyramid(name, options)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the four maps, finest first."""
        maps = self.body(images)
        # Some timm families (Swin) hand out channels-last maps.
        return [
            level if level.shape[1] == channels else level.permute(0, 3, 1, 2)
            for level, channels in zip(maps, self.channels, strict=True)
        ]


def _build_pyramid(name: str, options: dict[str, object]) -> tuple[nn.Module, tuple[int, ...]]:
    timm_name = MIT.get(name, name)
    if not timm.is_model(timm_name):
        raise ValueError(
            f'unknown encoder {name!r}: expected {", ".join(MIT)} or one of timm.list_models()'
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
    # The last map of a stride is its most processed one.
    indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in STRIDES]
    wanted = {'features_only': True, 'out_indices': indices}
    try:
        body = timm.create_model(timm_name, **wanted, **options)
    except OSError as error:
        raise ValueError(
            f'the weights of {name!r} cannot be downloaded ({str(error).partition(chr(10))[0]}); '
            'set model.encoder_weights to a file, or model.pretrained to false'
        ) from error
    except TypeError:  # a family without stochastic depth
        options = {key: value for key, value in options.items() if key != 'drop_path_rate'}
        body = timm.create_model(timm_name, **wanted, **options)
    return body, tuple(body.feature_info.channels())
