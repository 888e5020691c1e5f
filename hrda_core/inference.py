"""How a network is run on images: one set of settings for node, prediction and evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hrda_core.preparation import LARGEST_IMAGE
from hrda_core.runtime import PRECISIONS
from hrda_core.selection import SCORES, ScoreName

BACKENDS = ('torch', 'onnx', 'tensorrt')
MODES = ('exact', 'anytime')
CONTEXTS = ('whole', 'fewest')
SMALLEST_WINDOW = 64


@dataclass(frozen=True)
class InferenceSettings:
    """How a network is run on images.

    Mode `exact` computes the published plan. Mode `anytime` computes the context first and then
    the detail windows that matter most, best first, until one of its limits (`threshold`,
    `budget`, `deadline_ms`) is met; without a limit it computes them all.

    Attributes:
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.
        backend: what computes the network: torch, or the files of `hrda export` run by onnx
            (onnxruntime) or tensorrt. What cannot be had is told, and torch takes its place.
        export_dir: the folder of those files; empty for model.onnx/ beside model.safetensors.
        compile: have torch.compile fuse the network; slow to start, faster afterwards.
        mode: exact or anytime.
        threshold: leave windows with a lower score out, 0..1; None takes what `hrda tune-windows`
            wrote into the checkpoint, or 0.
        budget: most windows per image; None for all.
        deadline_ms: time for one image [ms]; None for no deadline.
        context: one context over the whole image, or the fewest contexts of the trained size.
        shrink: share of its sides that an image may lose to have the trained size of a context,
            0..0.5; 0 for none. By default, 1080 rows become 1024.
        window_size: about the side of a detail window [px of the scaled image]; 0 takes what
            `hrda tune-windows` wrote, or the trained size.
        window_overlap: how far neighbouring windows overlap [px of the scaled image].
        window_score: how windows are ranked: by attention_uncertainty (attention where the
            context is unsure), attention alone, entropy of the context, margin (attention where
            its two best classes are close) or boundary (attention on its borders).
        class_weights: class name -> weight of its pixels in the score; 1 for those not named.
        ageing: how fast the score of a window that is left out grows from frame to frame:
            its score is multiplied by (1 + ageing * frames).
        window_batch: most windows at once; 0 chooses by the memory at hand.
    """

    device: str = 'auto'
    precision: str = 'auto'
    backend: Literal['torch', 'onnx', 'tensorrt'] = 'torch'
    export_dir: str = ''
    compile: bool = False
    mode: Literal['exact', 'anytime'] = 'exact'
    threshold: float | None = None
    budget: int | None = None
    deadline_ms: float | None = None
    context: Literal['whole', 'fewest'] = 'whole'
    shrink: float = 0.0625
    window_size: int = 0
    window_overlap: int = 0
    window_score: ScoreName = 'attention_uncertainty'
    class_weights: Mapping[str, float] = field(default_factory=dict)
    ageing: float = 0.0
    window_batch: int = 0

    def __post_init__(self) -> None:
        _one_of('precision', self.precision, ('auto', *PRECISIONS))
        _one_of('backend', self.backend, BACKENDS)
        _one_of('mode', self.mode, MODES)
        _one_of('context', self.context, CONTEXTS)
        _one_of('window_score', self.window_score, tuple(SCORES))
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f'threshold {self.threshold} is outside 0..1')
        if self.budget is not None and self.budget < 0:
            raise ValueError(f'budget {self.budget} is negative; 0 means context alone')
        if self.deadline_ms is not None and not self.deadline_ms > 0:
            raise ValueError(f'deadline_ms {self.deadline_ms} must be above 0')
        if not 0 <= self.shrink <= 0.5:
            raise ValueError(f'shrink {self.shrink} is outside 0..0.5')
        if self.window_size and (self.window_size < SMALLEST_WINDOW or self.window_size % 16):
            raise ValueError(
                f'window_size {self.window_size} must be a multiple of 16, at least '
                f'{SMALLEST_WINDOW}, or 0 for the trained size'
            )
        if self.window_size > LARGEST_IMAGE:
            raise ValueError(
                f'window_size {self.window_size} is larger than any image that can be segmented, '
                f'{LARGEST_IMAGE} px a side'
            )
        if self.window_overlap < 0 or self.window_overlap % 8:
            raise ValueError(f'window_overlap {self.window_overlap} must be a multiple of 8')
        if self.window_size and self.window_overlap * 2 > self.window_size:
            raise ValueError(
                f'window_overlap {self.window_overlap} is more than half of window_size '
                f'{self.window_size}'
            )
        for name, weight in self.class_weights.items():
            if not 0 <= weight < float('inf'):
                raise ValueError(f'class_weights: {name} has weight {weight}, below 0 or infinite')
        if not self.ageing >= 0:
            raise ValueError(f'ageing {self.ageing} is below 0')
        if self.window_batch < 0:
            raise ValueError(f'window_batch {self.window_batch} is below 0')


def parse_class_weights(text: str) -> dict[str, float]:
    """Read 'person=4, traffic sign=2', or the same as YAML: '{person: 4, traffic sign: 2}'.

    Raises:
        ValueError: a part is no NAME=NUMBER.
    """
    inner = re.sub(r'^\{(.*)\}$', r'\1', text.strip(), flags=re.DOTALL)
    weights = {}
    for part in filter(None, (part.strip() for part in inner.split(','))):
        found = re.fullmatch(r'([^=:{}]*[^=:{}\s])\s*[=:]\s*([^=:{}]+)', part)
        try:
            if found is None:
                raise ValueError
            weights[found[1].strip('\'"')] = float(found[2])
        except ValueError:
            raise ValueError(
                f'class_weights: {part!r} is not NAME=NUMBER; write person=4, rider=2'
            ) from None
    return weights


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f'{name} {value!r}: expected {", ".join(choices)}')
