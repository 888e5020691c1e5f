"""torch as what computes a network: folded, in one precision, compiled or recorded if asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hrda_core.compiling import GraphRecorder, compiler
from hrda_core.folding import folded_copy
from hrda_core.heads import DeepLabV2Head
from hrda_core.hrda import HRDA, ContextPrediction
from hrda_core.prepared_shapes import Function, Maps, PreparedShapes
from hrda_core.runtime import Runtime


class TorchEngine:
    """A network in the form in which torch computes it fastest.

    It holds a copy of its own: batch norms folded, weights in the precision of the runtime, on
    its device. The model that it was made from may stay on the CPU, or be dropped. Classifiers
    and the sigmoid of the attention are computed in float32.

    Args:
        model: the network; it stays as it is.
        runtime: where, and in which precision.
        compile: have torch compile it for every shape that it meets in `warming_up`.
        instead: why it is not another engine that was asked for; told in the description.
    """

    def __init__(
        self, model: HRDA, runtime: Runtime, compile: bool = False, instead: str = ''
    ) -> None:
        self._runtime, self._compile, self._instead = runtime, compile, instead
        self._model = _in_precision(folded_copy(model), runtime)
        self._context = self._prepared(self._compute_context)
        self._detail = self._prepared(self._compute_detail)

    @property
    def description(self) -> str:
        """What computes the network and why, in words; complete after the warm-up."""
        parts = [f'torch on {self._runtime.reason}', 'batch norms folded']
        failure = self._context.failure or self._detail.failure
        count = len(self._context) + len(self._detail)
        if failure:
            kind = 'compiling' if self._compile else 'recording CUDA graphs'
            parts.append(f'plain, because {kind} failed: {failure}')
        elif count:
            kinds = ['compiled'] * self._compile + ['CUDA graphs'] * self._on_gpu
            parts.append(f'{" and ".join(kinds)} for {count} shapes')
        if self._instead:
            parts.append(self._instead)
        return ', '.join(parts)

    @property
    def _on_gpu(self) -> bool:
        return self._runtime.device.type == 'cuda'

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """Within, every new shape of input is compiled or recorded; elsewhere none is."""
        both = self._context, self._detail
        for prepared in both:
            prepared.warming = self._compile or self._on_gpu
        try:
            yield
        finally:
            for prepared in both:
                prepared.warming = False

    def context(self, images: Tensor) -> ContextPrediction:
        """As `HRDA.context`, without features."""
        logits, *attention = self._run(self._context, images)
        return ContextPrediction(logits, attention[0] if attention else None, [])

    def detail(self, windows: Tensor) -> Tensor:
        """As `HRDA.detail`."""
        return self._run(self._detail, windows)[0]

    @torch.inference_mode()
    def _run(self, function: PreparedShapes, images: Tensor) -> Maps:
        images = images.to(self._runtime.device)
        return function(images.contiguous(memory_format=_memory_format(self._runtime)))

    def _prepared(self, function: Function) -> PreparedShapes:
        compile_one = compiler(function) if self._compile else None
        recorder = GraphRecorder() if self._on_gpu else None

        def prepare(example: Tensor) -> Function:
            faster = compile_one(example) if compile_one else function
            return recorder.record(faster, example) if recorder else faster

        return PreparedShapes(function, prepare)

    def _compute_context(self, images: Tensor) -> Maps:
        with self._autocast():
            found = self._model.context(images.to(self._dtype))
        return (found.logits,) if found.attention is None else (found.logits, found.attention)

    def _compute_detail(self, windows: Tensor) -> Maps:
        with self._autocast():
            return (self._model.detail(windows.to(self._dtype)),)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float32 if self._keeps_range else self._runtime.dtype

    @property
    def _keeps_range(self) -> bool:
        """Whether what lies between products stays in float32, as float16 ends at 65504."""
        return self._runtime.dtype == torch.float16

    def _autocast(self) -> torch.autocast:
        device, dtype = self._runtime.device.type, self._runtime.dtype
        return torch.autocast(device, dtype, enabled=self._keeps_range)


class _InFloat32(nn.Module):
    """A layer whose results are float32, computed so if its own weights are."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, maps: Tensor) -> Tensor:
        weight = next(self.layer.parameters())
        with torch.autocast(maps.device.type, enabled=False):
            result: Tensor = self.layer(maps.to(weight.dtype)).float()
        return result


def _in_precision(model: HRDA, runtime: Runtime) -> HRDA:
    """Move a model of this engine to where and what it is computed in, in place."""
    if runtime.dtype != torch.float32:
        reduced = (nn.Conv2d, nn.Linear) if runtime.dtype == torch.float16 else (nn.Module,)
        for part in (model.encoder, model.head, model.attention_head):
            for module in part.modules() if part is not None else ():
                if isinstance(module, reduced):
                    for parameter in module.parameters(recurse=False):
                        parameter.data = parameter.data.to(runtime.dtype)
                    for name, buffer in module.named_buffers(recurse=False):
                        if buffer.is_floating_point():
                            setattr(module, name, buffer.to(runtime.dtype))
        for head in (model.head, model.attention_head):
            if isinstance(head, DeepLabV2Head):
                # Most of the work of this head: the products stay in the lower precision.
                head.branches = nn.ModuleList(_InFloat32(branch) for branch in head.branches)
            elif head is not None:
                head.set_submodule('classify', _InFloat32(head.classify.float()))
    model.to(runtime.device)
    return model.to(memory_format=_memory_format(runtime))


def _memory_format(runtime: Runtime) -> torch.memory_format:
    # On a CPU in float32, oneDNN's own formats are as fast, and copies cost more than they gain.
    plain = runtime.device.type == 'cpu' and runtime.dtype == torch.float32
    return torch.contiguous_format if plain else torch.channels_last
