"""What a network whose weights are still in use elsewhere says of a batch, window by window."""

from __future__ import annotations

import torch
from torch import Tensor

from hrda_core.hrda import HRDA
from hrda_core.mosaic import Mosaic
from hrda_core.preparation import padded, windows_at_once
from hrda_core.runtime import Runtime
from hrda_core.windows import padded_size, plan_windows


@torch.no_grad()
def batch_logits(model: HRDA, images: Tensor) -> Tensor:
    """Fused logits of a batch, from the windows that the architecture plans for one image.

    Shape:
        images: normalised float (B, 3, H, W) at the scale of the network; result: float32
        (B, C, H, W).
    """
    count, _, height, width = images.shape
    plan = plan_windows(*padded_size(height, width, model.architecture), model.architecture)
    runtime = Runtime(images.device, torch.float32, '')
    batch = windows_at_once(plan, runtime, model, count)
    mosaic = Mosaic(plan.height, plan.width)
    for box, crop in model.predict_crops(padded(images, plan), plan, batch):
        mosaic.add(crop.fused, box)
    return mosaic.rows(0, height)[..., :width]
