"""What each resolution says of a crop, and how far the detail is trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from hrda_core.heads import resize
from hrda_core.hrda import CropPrediction


def parts_of(crop: CropPrediction) -> list[Tensor]:
    """Fused, context, detail and attention of a crop, all of one size."""
    # The context in two steps, as the fusion enlarges it.
    context = resize(crop.context, (crop.fused.shape[-2], crop.fused.shape[-1]))
    detail = context if crop.detail is None else crop.detail
    return [crop.fused, context, detail, attention_of_prediction(crop)]


def attention_of_prediction(crop: CropPrediction) -> Tensor:
    """Attention weighted by the predicted probabilities: sum over classes of A * softmax.

    0 says context, 1 detail (spec section 2.3); 0 everywhere with one resolution.

    Shape:
        result: (B, 1, H / s, W / s), the size of the fused logits.
    """
    if crop.attention is None:
        return torch.zeros_like(crop.fused[:, :1])
    height, width = crop.fused.shape[-2:]
    enlarged = resize(crop.attention, (height, width)).float()
    return (enlarged * crop.fused.float().softmax(dim=1)).sum(dim=1, keepdim=True)
