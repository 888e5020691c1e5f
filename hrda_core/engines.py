"""What computes the two halves of a network: torch itself, or an exported copy of it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from hrda_core.hrda import HRDA, ContextPrediction
from hrda_core.runtime import Runtime


class Engine(Protocol):
    """Computes context and detail in whatever format; answers in float32. `HRDA` is one."""

    def context(self, images: Tensor) -> ContextPrediction:
        """See `HRDA.context`; `features` may be empty."""

    def detail(self, windows: Tensor) -> Tensor:
        """See `HRDA.detail`."""


class LiveEngine:
    """The network itself in the precision of a runtime, for weights that still change.

    Args:
        model: on the device of the runtime.
        runtime: its precision.
    """

    def __init__(self, model: HRDA, runtime: Runtime) -> None:
        self._model, self._runtime = model, runtime

    def context(self, images: Tensor) -> ContextPrediction:
        """See `HRDA.context`."""
        with self._runtime.autocast():
            seen = self._model.context(images)
        attention = None if seen.attention is None else seen.attention.float()
        return ContextPrediction(seen.logits.float(), attention, [])

    def detail(self, windows: Tensor) -> Tensor:
        """See `HRDA.detail`."""
        with self._runtime.autocast():
            return self._model.detail(windows).float()
