"""A network written as ONNX files, and how near those come to it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hrda_core.classes import Uint8Array
from hrda_core.exported import AXES, CONTEXT, INPUT, OUTPUTS
from hrda_core.folding import folded_copy
from hrda_core.hrda import HRDA

OPSET = 17
EXAMPLE = (2, 3, 96, 160)
"""What the network is traced with: a size whose maps are no multiples of 7, so that encoders
with windows of 7 cells record how they pad."""
PRODUCTS = {'Conv', 'Gemm', 'MatMul'}
TOLERANCES = {'fp32': (1e-4, 0.9999), 'fp16': (2e-2, 0.99)}
"""Largest difference, of the largest logit, and least share of equal labels."""


@dataclass(frozen=True)
class Agreement:
    """How near a file comes to its network.

    Attributes:
        difference: largest difference of a logit.
        largest: largest logit.
        attention: largest difference of an attention value.
        labels: share of cells with the same label, 0..1.
    """

    difference: float
    largest: float
    attention: float
    labels: float

    def within(self, precision: str) -> bool:
        """Whether this is rounding in a precision; what is not a number is not."""
        allowed, labels = TOLERANCES[precision]
        near = self.difference <= allowed * self.largest and self.attention <= allowed
        return near and self.labels >= labels

    def __str__(self) -> str:
        return (
            f'largest difference {self.difference:.2g} of logits up to {self.largest:.3g}, '
            f'{self.labels:.2%} of labels equal'
        )


class _Half(nn.Module):
    """What one file computes."""

    def __init__(self, network: HRDA, name: str) -> None:
        super().__init__()
        self.network, self._name = network, name

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self._name != CONTEXT:
            return (self.network.detail(images),)
        found = self.network.context(images)
        return (found.logits,) if found.attention is None else (found.logits, found.attention)


def write_network(model: HRDA, name: str, file: Path, precision: str) -> None:
    """Write one half of a network; number, height and width of its inputs stay open.

    Args:
        model: the network, on the CPU.
        name: which half, one of `files_of(model)`.
        file: where to.
        precision: fp32, or fp16 for matrix products in float16.

    Raises:
        ValueError: its encoder cannot be traced.
    """
    half = _Half(folded_copy(model), name).eval()
    example = torch.zeros(EXAMPLE)
    with torch.no_grad(), _quiet():
        try:
            outputs = OUTPUTS[: len(half(example))]
            torch.onnx.export(
                half,
                (example,),
                str(file),
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_axes={INPUT: AXES}
                | {output: {0: 'batch', 2: 'rows', 3: 'columns'} for output in outputs},
                opset_version=OPSET,
                # The newer exporter takes a minute where this one takes seconds, for the same.
                dynamo=False,
            )
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            reason = str(error).strip().partition('\n')[0]
            raise ValueError(
                f'the network ({model.architecture.encoder}, {model.architecture.head}) cannot be '
                f'exported: {reason}'
            ) from error
    if precision == 'fp16':
        _reduce(file)


def _reduce(file: Path) -> None:
    """Compute products in float16 and all between them in float32, as float16 ends at 65504."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    network = onnx.load(str(file))
    kept = {node.op_type for node in network.graph.node} - PRODUCTS
    classifiers = [node.name for node in network.graph.node if '/classify/' in node.name]
    reduced = convert_float_to_float16(
        network, keep_io_types=True, op_block_list=sorted(kept), node_block_list=classifiers
    )
    onnx.save(reduced, str(file))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch says of tracing: `compare` finds out whether the result is right."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def compare(
    model: HRDA, name: str, computed: Callable[[Tensor], tuple[Tensor, ...]], image: Uint8Array
) -> Agreement:
    """Compare a file with the network, on one image and on noise of another number and size.

    Args:
        model: the network, on the CPU.
        name: which half, one of `files_of(model)`.
        computed: runs the file.
        image: uint8 (H, W, 3) RGB.
    """
    noise = torch.randn(3, 3, 100, 180, generator=torch.Generator().manual_seed(0))
    picture = model.normalise(torch.from_numpy(image).permute(2, 0, 1)[None])
    half = _Half(model, name)
    pairs = []
    for images in (picture, noise):
        with torch.no_grad():
            pairs.append((computed(images), half(images)))
    return _agreement(pairs)


def _agreement(pairs: list[tuple[Any, Any]]) -> Agreement:
    logits = [(found[0], expected[0]) for found, expected in pairs]
    attention = [
        pair for found, expected in pairs for pair in zip(found[1:], expected[1:], strict=True)
    ]
    same = torch.cat([(a.argmax(dim=1) == b.argmax(dim=1)).flatten() for a, b in logits])
    return Agreement(
        _largest(logits),
        max(float(b.abs().max()) for _, b in logits),
        _largest(attention),
        float(same.float().mean()),
    )


def _largest(pairs: list[tuple[Tensor, Tensor]]) -> float:
    return max((float((a - b).abs().max()) for a, b in pairs), default=0.0)
