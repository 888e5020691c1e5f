"""onnxruntime as what computes a network, from the files of `hrda export`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrda_core.exported import (
    AXES,
    CONTEXT,
    DETAIL,
    INPUT,
    PRECISIONS,
    EngineError,
    files_of,
    read_export,
)
from hrda_core.hrda import HRDA, ContextPrediction
from hrda_core.prepared_shapes import Function, Maps
from hrda_core.runtime import Runtime

Provider = tuple[str, dict[str, Any]]
CPU_PROVIDER: Provider = ('CPUExecutionProvider', {})
ONLY_ERRORS = 3


class OnnxEngine:
    """Computes a network by onnxruntime, on the device of a runtime.

    Args:
        model: the network that the files were made from; nothing of it is kept.
        runtime: its device; the precision is that of the files.
        folder: what `hrda export` wrote.
        precision: what was asked for: auto, fp32, bf16 or fp16.

    Raises:
        EngineError: a package is missing, or the files cannot be used; says what to do.
    """

    backend = 'onnx'

    def __init__(
        self, model: HRDA, runtime: Runtime, folder: Path, precision: str = 'auto'
    ) -> None:
        self._runtime, self._folder = runtime, folder
        self._provider = self._choose_provider()
        self._export = read_export(folder, model)
        self._check_precision(precision)
        self._functions = {name: self._open(folder / name) for name in files_of(model)}

    @property
    def description(self) -> str:
        """What computes the network and why, in words."""
        version = load_onnxruntime(self.backend).__version__
        return (
            f'onnxruntime {version} ({self._provider[0]}) on {self._runtime.device}, '
            f'{self._export.precision} (as exported to {self._folder})'
        )

    def warming_up(self) -> AbstractContextManager[object]:
        """Nothing to get ready."""
        return nullcontext()

    def context(self, images: Tensor) -> ContextPrediction:
        """As `HRDA.context`, without features."""
        logits, *attention = self._run(CONTEXT, images)
        return ContextPrediction(logits, attention[0] if attention else None, [])

    def detail(self, windows: Tensor) -> Tensor:
        """As `HRDA.detail`."""
        return self._run(DETAIL, windows)[0]

    def _run(self, name: str, images: Tensor) -> Maps:
        return self._functions[name](images.to(self._runtime.device, torch.float32).contiguous())

    def _choose_provider(self) -> Provider:
        if self._runtime.device.type == 'cpu':
            return CPU_PROVIDER
        return cuda_provider(self._runtime, self.backend)

    def _check_precision(self, asked: str) -> None:
        found = self._export.precision
        if asked == 'auto':
            # A CPU would turn every number back into float32 before it computes with it.
            asked = 'fp32' if self._runtime.device.type == 'cpu' else found
        if asked == found:
            return
        if asked not in PRECISIONS:
            raise EngineError(f'backend {self.backend} has no {asked}; set precision to {found}')
        raise EngineError(
            f'{self._folder} computes in {found}, not in {asked}; run `hrda export '
            f'--precision={asked}`'
        )

    def _open(self, file: Path) -> Function:
        return OnnxFile(file, self._runtime.device, [self._provider], self.backend)


class OnnxFile:
    """One file of a network, computed where its inputs and outputs lie.

    Args:
        file: the network.
        device: where the tensors of torch are.
        providers: what onnxruntime computes with, the best first.
        backend: named in errors.
        shape: the only shape of input that there will be; None for any.

    Raises:
        EngineError: the file cannot be read, or the best provider does not start.
    """

    def __init__(
        self,
        file: Path,
        device: torch.device,
        providers: Sequence[Provider],
        backend: str,
        shape: Sequence[int] | None = None,
    ) -> None:
        runtime = load_onnxruntime(backend)
        options = runtime.SessionOptions()
        options.log_severity_level = ONLY_ERRORS
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait busily for the next image would keep torch's from their work.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        if shape is not None:
            for axis, name in AXES.items():
                options.add_free_dimension_override_by_name(name, shape[axis])
        try:
            self._session = runtime.InferenceSession(str(file), options, providers=[*providers])
        except Exception as error:  # onnxruntime has dozens of classes for them
            reason = str(error).strip().partition('\n')[0]
            raise EngineError(
                f'{file} cannot be loaded ({reason}); run `hrda export` again'
            ) from error
        if self._session.get_providers()[0] != providers[0][0]:
            raise EngineError(
                f'{providers[0][0]} of onnxruntime does not start here; its release must fit the '
                'CUDA, cuDNN and TensorRT libraries that are installed'
            )
        self._device = device
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._shapes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}

    def __call__(self, images: Tensor) -> Maps:
        """Compute: contiguous float32 (B, 3, H, W) on the device to maps (B, C, h, w)."""
        shape = tuple(images.shape)
        if shape not in self._shapes:
            arrays = self._session.run(self._outputs, {INPUT: images.cpu().numpy()})
            self._shapes[shape] = [array.shape for array in arrays]
            return tuple(torch.from_numpy(array).to(self._device) for array in arrays)
        maps = tuple(torch.empty(size, device=self._device) for size in self._shapes[shape])
        binding = self._session.io_binding()
        binding.bind_input(**self._place(INPUT, images))
        for name, tensor in zip(self._outputs, maps, strict=True):
            binding.bind_output(**self._place(name, tensor))
        if self._device.type == 'cuda':
            # onnxruntime works in a stream of its own, and waits for it before it returns.
            torch.cuda.current_stream(self._device).synchronize()
        self._session.run_with_iobinding(binding)
        return maps

    def _place(self, name: str, tensor: Tensor) -> dict[str, Any]:
        return {
            'name': name,
            'device_type': self._device.type,
            'device_id': self._device.index or 0,
            'element_type': np.float32,
            'shape': tuple(tensor.shape),
            'buffer_ptr': tensor.data_ptr(),
        }


def load_onnxruntime(backend: str) -> Any:
    """The package; EngineError without it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f'backend {backend} needs the Python package onnxruntime ({error}): '
            'pip install "hrda_ros[onnx]"'
        ) from error
    return onnxruntime


def cuda_provider(runtime: Runtime, backend: str) -> Provider:
    """onnxruntime's way to a GPU, in all 23 bits of float32; EngineError if it has none."""
    name = 'CUDAExecutionProvider'
    require_provider(name, backend)
    return name, {'device_id': runtime.device.index or 0, 'use_tf32': 0}


def require_provider(name: str, backend: str) -> None:
    """EngineError if onnxruntime was built without a provider."""
    if name not in load_onnxruntime(backend).get_available_providers():
        raise EngineError(
            f'the onnxruntime that is installed has no {name}: pip uninstall onnxruntime, then '
            'pip install onnxruntime-gpu'
        )
