"""What a network costs in arithmetic, counted on tensors without data."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.utils.flop_counter import FlopCounterMode

from hrda_core.hrda import HRDA
from hrda_core.windows import Box


class Plan(Protocol):
    """What all kinds of window plans have."""

    @property
    def contexts(self) -> tuple[Box, ...]:
        """Context crops, all of one size."""

    @property
    def windows(self) -> tuple[Box, ...]:
        """Detail windows, all of one size."""


class NetworkCost:
    """Counts the multiplications and additions of matrix products and convolutions.

    They are those of the network as defined, whatever a faster way to compute it saves.

    Args:
        model: on device meta, in eval mode.
    """

    def __init__(self, model: HRDA) -> None:
        self._model = model
        self._known: dict[tuple[bool, int, int], int] = {}

    def flops(self, plan: Plan, windows: float) -> float:
        """Floating-point operations of the contexts of a plan, and of so many of its windows."""
        total = float(len(plan.contexts) * self._pass(plan.contexts[0], context=True))
        if plan.windows:
            total += windows * self._pass(plan.windows[0], context=False)
        return total

    def _pass(self, box: Box, *, context: bool) -> int:
        key = (context, box.height, box.width)
        if key not in self._known:
            images = torch.empty(1, 3, box.height, box.width, device='meta')
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                if context:
                    self._model.context(self._model.shrink(images))
                else:
                    self._model.detail(images)
            self._known[key] = counter.get_total_flops()
        return self._known[key]
