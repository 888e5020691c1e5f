"""Where and in which precision a network runs, each choice with its reason in words."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

CPU_PIXELS = 512 * 512
"""Pixels that go through a network at once on a CPU: more bring no speed, only memory."""
MOST_PIXELS = 32 * 512 * 512
OUT_OF_MEMORY = ('not enough memory', 'DefaultCPUAllocator', 'out of memory')
"""One of these is in every such error of torch."""
PRECISIONS = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


@dataclass(frozen=True)
class Runtime:
    """A device, a precision, and why.

    Attributes:
        device: where tensors live.
        dtype: what matrix products are computed in; accumulation stays in float32.
        reason: the choice in words, for logs.
    """

    device: torch.device
    dtype: torch.dtype
    reason: str

    @property
    def precision(self) -> str:
        """Name of the precision: fp32, bf16 or fp16."""
        return _name(self.dtype)

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which the network runs in the chosen precision."""
        reduced = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=reduced)

    def pixels_at_once(self, bytes_per_pixel: float) -> int:
        """Pixels that may go through a network at once: half of a GPU's free memory is used.

        Args:
            bytes_per_pixel: what the network needs for each.
        """
        if self.device.type != 'cuda':
            return CPU_PIXELS
        free, _ = torch.cuda.mem_get_info(self.device)
        cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return min(int((free + cached) / 2 / bytes_per_pixel), MOST_PIXELS)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(text in str(error) for text in OUT_OF_MEMORY)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Context in which work is done in the format of its inputs, whatever autocast says."""
    # Autocast knows nothing of tensors without data, with which memory is estimated.
    return nullcontext() if device.type == 'meta' else torch.autocast(device.type, enabled=False)


def choose_runtime(device: str = 'auto', precision: str = 'auto') -> Runtime:
    """Resolve `auto` and check what was asked for.

    Args:
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: an unknown or absent device, or a precision it cannot do.
    """
    chosen, why = _device(device)
    if precision == 'auto':
        dtype, how = _precision(chosen)
    elif precision in PRECISIONS:
        dtype, how = PRECISIONS[precision], 'as asked'
    else:
        raise ValueError(f'precision {precision!r}: expected auto, {", ".join(PRECISIONS)}')
    if chosen.type == 'cpu' and dtype == torch.float16:
        raise ValueError('precision fp16 needs a GPU; on a CPU use fp32 or bf16')
    return Runtime(chosen, dtype, f'{chosen} ({why}), {_name(dtype)} ({how})')


def _name(dtype: torch.dtype) -> str:
    return next(name for name, value in PRECISIONS.items() if value == dtype)


def _device(device: str) -> tuple[torch.device, str]:
    if device == 'auto':
        if torch.cuda.is_available():
            return torch.device('cuda', torch.cuda.current_device()), torch.cuda.get_device_name()
        return torch.device('cpu'), 'no usable GPU found'
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device {device!r}: expected auto, cpu, cuda or cuda:N') from error
    if chosen.type not in ('cpu', 'cuda'):
        raise ValueError(f'device {device!r}: expected auto, cpu, cuda or cuda:N')
    if chosen.type == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= count:
            raise ValueError(
                f'device {device!r}: torch sees {count} CUDA devices here; use cpu or auto, or '
                'check the driver and that torch is a CUDA build'
            )
    return chosen, 'as asked'


def _precision(device: torch.device) -> tuple[torch.dtype, str]:
    if device.type == 'cpu':
        return torch.float32, 'exact on a CPU'
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16, 'the GPU computes it natively'
    return torch.float16, 'the GPU has no bf16'
