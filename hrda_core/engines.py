"""What computes the two halves of a network: torch itself, or an exported copy of it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from hrda_core.hrda import ContextPrediction


class Engine(Protocol):
    """Computes context and detail; `HRDA` itself is one.

    Whatever it computes in, it answers in a floating-point format of its own choice.
    """

    def context(self, images: Tensor) -> ContextPrediction:
        """See `HRDA.context`; `features` may be empty."""

    def detail(self, windows: Tensor) -> Tensor:
        """See `HRDA.detail`."""
