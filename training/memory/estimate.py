"""What memory a training step needs, told without allocating it.

The step itself runs on tensors without data (device `meta`), with autocast and attention as a
GPU does them, while the bytes that are alive are counted. Whatever a method does is therefore
counted as it is done. Compilation is not imitated; it needs about as much, mostly less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hrda_core.classes import resolve_classes
from hrda_core.hrda import HRDA
from hrda_core.runtime import PRECISIONS, choose_runtime
from training.memory.live_bytes import LiveBytes, ReducedPrecision, run_backward
from training.methods import build_method
from training.run.execution import prepare

if TYPE_CHECKING:
    from training.methods import Method
    from training.settings.run import OptimiserSettings, TrainSettings

GIGABYTE = 10**9
PROCESS_BYTES = {'cpu': 900_000_000, 'cuda': 500_000_000}
"""What a process has besides its tensors: libraries on a CPU (measured), the context on a GPU."""
SPARE_SHARE = {'cpu': 0.9, 'cuda': 0.1}
"""Work space of convolutions and gaps between blocks, as a part of all tensors: measured on a CPU
(glibc, one thread: within 8 % for six runs of 1.9 to 4.1 GB), a guess on a GPU."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a training run at the worst moment of a step, by part [bytes].

    Attributes:
        device: cpu or cuda.
        weights: of the student, and of networks that belong to the method.
        gradients: of the student.
        optimiser: its running averages.
        teacher: its weights.
        feature_encoder: weights of the frozen encoder of the feature distance.
        activations: what a forward pass keeps for its backward pass, and what both work in.
        full_size: images, labels, enlarged logits and losses at the size of a crop.
        overhead: the process itself, work space of convolutions, gaps between blocks.
    """

    device: str
    weights: int
    gradients: int
    optimiser: int
    teacher: int
    feature_encoder: int
    activations: int
    full_size: int
    overhead: int

    @property
    def parts(self) -> dict[str, int]:
        """Name to bytes, in the order above."""
        fields = dataclasses.fields(self)
        return {f.name: getattr(self, f.name) for f in fields if f.name != 'device'}

    @property
    def total(self) -> int:
        """Sum of all parts [bytes]."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        parts = ', '.join(
            f'{name.replace("_", " ")} {_gigabytes(size)}' for name, size in self.parts.items()
        )
        return f'about {_gigabytes(self.total)} GB ({parts})'


def estimate(settings: TrainSettings) -> MemoryEstimate:
    """Estimate the memory of a training step on the device that the settings choose.

    Validation and the loading processes come on top, the latter in main memory. Takes some
    seconds, more for deep encoders.

    Raises:
        ValueError: an unknown class set, encoder or device.
    """
    device = choose_runtime(settings.loop.device, 'fp32').device.type
    settings = _busiest(settings)
    architecture = settings.model.architecture()
    counted = LiveBytes((architecture.context_size, architecture.detail_size))
    precision = ReducedPrecision(PRECISIONS[settings.loop.precision])
    with counted, precision:
        with torch.device('meta'):
            student = HRDA(architecture, resolve_classes(settings.classes))
        pretrained = settings.model.starts_pretrained
        method = build_method(settings, student, pretrained_encoder=pretrained).to('meta')
        prepare(method, dataclasses.replace(settings.loop, compile=False))
        kept = counted.live

        method.step(_batch(settings), 0, run_backward)
    return _parts(settings, method, kept, counted, device)


def _busiest(settings: TrainSettings) -> TrainSettings:
    """The same run with every random change of the images switched on."""
    # Without ClassMix, whose draw looks at labels that are not there; it needs no memory.
    changes: dict[str, Any] = {
        'class_mix': False,
        'jitter_probability': 1.0,
        'blur_probability': 1.0,
    }
    return dataclasses.replace(
        settings, self_training=dataclasses.replace(settings.self_training, **changes)
    )


def _batch(settings: TrainSettings) -> Mapping[str, Mapping[str, Any]]:
    count, size = settings.loop.batch_size, settings.model.context_size

    def empty(*shape: int) -> Tensor:
        return torch.empty(count, *shape, size, size, dtype=torch.uint8, device='meta')

    batch = {}
    if settings.source is not None:
        batch['source'] = {'image': empty(3), 'label': empty()}
    if settings.target is not None and settings.method != 'source_only':
        batch['target'] = {'image': empty(3), 'valid': empty()}
    return batch


def _parts(
    settings: TrainSettings, method: Method, kept: int, counted: LiveBytes, device: str
) -> MemoryEstimate:
    teacher = getattr(method, 'teacher', None)
    teacher_bytes = 0 if teacher is None else _bytes(_tensors(teacher.model))
    encoder_bytes = _bytes(_tensors(getattr(method, 'feature_encoder', None)))
    learnt = _bytes(p for p in method.student.parameters() if p.requires_grad)
    moving = max(counted.peak - kept - learnt - counted.peak_full_size, 0)
    optimiser = learnt * _averages(settings.optimiser)
    tensors = counted.peak + optimiser
    return MemoryEstimate(
        device=device,
        weights=kept - teacher_bytes - encoder_bytes,
        gradients=learnt,
        optimiser=optimiser,
        teacher=teacher_bytes,
        feature_encoder=encoder_bytes,
        activations=moving,
        full_size=counted.peak_full_size,
        overhead=PROCESS_BYTES[device] + int(SPARE_SHARE[device] * tensors),
    )


def _tensors(module: nn.Module | None) -> Iterable[Tensor]:
    return () if module is None else (*module.parameters(), *module.buffers())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _averages(optimiser: OptimiserSettings) -> int:
    """Running averages per weight."""
    return 2 if optimiser.name == 'adamw' else int(optimiser.momentum > 0)


def _gigabytes(size: int) -> str:
    return f'{size / GIGABYTE:.2f}'
