"""The smallest network of two resolutions whose answers differ from pixel to pixel."""

from __future__ import annotations

import torch

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.hrda import HRDA

CLASSES = ClassSet('trio', ('a', 'b', 'c'), ((1, 1, 1),) * 3, ((0,), (1,), (2,)))
TINY = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)


def tiny_network() -> HRDA:
    """Random weights, the same each time, with heads as far from 0 as trained ones."""
    torch.manual_seed(0)
    model = HRDA(TINY, CLASSES).eval()
    for head in (model.head, model.attention_head):
        torch.nn.init.normal_(head.classify.weight, std=1.0)
    return model
