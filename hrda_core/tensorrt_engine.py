"""TensorRT as what computes a network: an engine for each shape, built once and kept.

onnxruntime hands it the files of `hrda export`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrda_core.cache import cache_folder
from hrda_core.exported import EngineError
from hrda_core.onnx_engine import (
    OnnxEngine,
    OnnxFile,
    Provider,
    cuda_provider,
    require_provider,
)
from hrda_core.prepared_shapes import Function, PreparedShapes

PROVIDER = 'TensorrtExecutionProvider'


class TensorRTEngine(OnnxEngine):
    """Computes a network by TensorRT, for every shape that it meets in `warming_up`.

    Other shapes are computed by CUDA, since building an engine takes minutes. Engines are kept
    in the cache of the user, apart by weights, GPU, precision and shape. Arguments and errors
    are those of `OnnxEngine`.
    """

    backend = 'tensorrt'

    @property
    def description(self) -> str:
        """What computes the network and why, in words; complete after the warm-up."""
        prepared = [f for f in self._functions.values() if isinstance(f, PreparedShapes)]
        failures = [function.failure for function in prepared if function.failure]
        if failures:
            return f'{super().description}, without TensorRT, which failed: {failures[0]}'
        return f'{super().description}, TensorRT for {sum(map(len, prepared))} shapes'

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """Within, an engine is built or loaded for every new shape of input."""
        prepared = [f for f in self._functions.values() if isinstance(f, PreparedShapes)]
        for function in prepared:
            function.warming = True
        try:
            yield
        finally:
            for function in prepared:
                function.warming = False

    def _choose_provider(self) -> Provider:
        if self._runtime.device.type != 'cuda':
            raise EngineError(
                f'backend tensorrt needs a GPU, and the network is on {self._runtime.device}; '
                'use backend onnx or torch'
            )
        require_provider(PROVIDER, self.backend)
        return cuda_provider(self._runtime, self.backend)

    def _open(self, file: Path) -> Function:
        def build(example: Tensor) -> Function:
            providers = [(PROVIDER, self._options(file, example)), self._provider]
            return OnnxFile(file, example.device, providers, self.backend, example.shape)

        return PreparedShapes(super()._open(file), build)

    def _options(self, file: Path, example: Tensor) -> dict[str, Any]:
        export = self._export
        gpu = torch.cuda.get_device_name(self._runtime.device)
        folder = engine_folder(export.weights, gpu, export.precision)
        engine = folder / f'{file.stem}-{"x".join(map(str, example.shape))}'
        engine.mkdir(parents=True, exist_ok=True)
        return {
            'device_id': self._runtime.device.index or 0,
            'trt_fp16_enable': export.precision == 'fp16',
            'trt_engine_cache_enable': True,
            'trt_engine_cache_path': str(engine),
            'trt_timing_cache_enable': True,
            'trt_timing_cache_path': str(folder),
        }


def engine_folder(weights: str, gpu: str, precision: str) -> Path:
    """Where the engines of a network are kept.

    Args:
        weights: digest of the network.
        gpu: its name; engines run on the kind of GPU that they were built on.
        precision: fp32 or fp16.
    """
    kind = re.sub(r'[^A-Za-z0-9]+', '-', gpu).strip('-')
    return cache_folder() / 'tensorrt' / f'{weights[:16]}-{kind}-{precision}'
