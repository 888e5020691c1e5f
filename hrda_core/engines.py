"""What computes the two halves of a network: torch itself, or an exported copy of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from torch import Tensor

from hrda_core.exported import EngineError, export_folder
from hrda_core.hrda import HRDA, ContextPrediction
from hrda_core.inference import InferenceSettings
from hrda_core.onnx_engine import OnnxEngine
from hrda_core.runtime import Runtime
from hrda_core.tensorrt_engine import TensorRTEngine
from hrda_core.torch_engine import TorchEngine


class Engine(Protocol):
    """Computes context and detail in whatever format; answers in float32. `HRDA` is one."""

    def context(self, images: Tensor) -> ContextPrediction:
        """See `HRDA.context`; `features` may be empty."""

    def detail(self, windows: Tensor) -> Tensor:
        """See `HRDA.detail`."""


class PreparedEngine(Engine, Protocol):
    """An engine that gets ready for the shapes it will see, and tells what it is."""

    @property
    def description(self) -> str:
        """What computes the network and why, in words."""

    def warming_up(self) -> AbstractContextManager[object]:
        """Within, the engine gets ready for every new shape that it is given."""


def build_engine(model: HRDA, settings: InferenceSettings, runtime: Runtime) -> PreparedEngine:
    """The engine that the settings ask for.

    Args:
        model: the network; it stays as it is, and the engine needs it no longer.
        settings: which backend, and whether torch compiles.
        runtime: where, and in which precision.

    Returns:
        That of torch if the backend cannot be had; its description tells why.
    """
    instead = ''
    if settings.backend != 'torch':
        kind = TensorRTEngine if settings.backend == 'tensorrt' else OnnxEngine
        try:
            folder = export_folder(model, settings.export_dir)
            return kind(model, runtime, folder, settings.precision)
        except EngineError as error:
            instead = f'because there is no backend {settings.backend}: {error}'
    return TorchEngine(model, runtime, settings.compile, instead)


class LiveEngine:
    """The network itself in the precision of a runtime, for weights that still change.

    Args:
        model: on the device of the runtime.
        runtime: its precision.
    """

    def __init__(self, model: HRDA, runtime: Runtime) -> None:
        self._model, self._runtime = model, runtime

    @property
    def description(self) -> str:
        """Device and precision."""
        return self._runtime.reason

    def warming_up(self) -> AbstractContextManager[object]:
        """Nothing to get ready."""
        return nullcontext()

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
