"""Whether a training step fits into the memory of the device."""

from __future__ import annotations

from pathlib import Path

import torch

from hrda_core.runtime import Runtime
from training.config import TrainSettings
from training.doctor.findings import Findings
from training.memory import GIGABYTE, estimate

MEMORY_FILE = Path('/proc/meminfo')
CONTAINER_FILE = Path('/sys/fs/cgroup/memory.max')


def report_memory(
    settings: TrainSettings, runtime: Runtime, findings: Findings
) -> tuple[str, bool]:
    """Estimate the memory of a step, and say so where the device has less.

    Returns:
        The estimate in words, and whether it fits, as far as is known.

    Raises:
        ValueError: the networks cannot be built.
    """
    needed, free = estimate(settings), free_bytes(runtime.device)
    if free is None or needed.total <= free:
        return str(needed), True
    findings.warning(
        'memory',
        f'a step needs about {needed.total / GIGABYTE:.1f} GB and {runtime.device} has '
        f'{free / GIGABYTE:.1f} GB free, so no step was tried',
        'hrda train --fit auto chooses what fits: loop.precision bf16 on a GPU, '
        'loop.gradient_checkpointing, a smaller loop.batch_size with more loop.accumulate, or '
        'smaller crops',
    )
    return str(needed), False


def free_bytes(device: torch.device) -> int | None:
    """Memory of the device that nobody uses [bytes]; None where it cannot be known."""
    if device.type == 'cuda':
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = MEMORY_FILE.read_text().splitlines()
        rows = dict(line.split(':', 1) for line in lines)
        available = int(rows['MemAvailable'].split()[0]) * 1024
        limit = CONTAINER_FILE.read_text().strip() if CONTAINER_FILE.is_file() else 'max'
    except (OSError, KeyError, ValueError):
        return None
    return available if limit == 'max' else min(available, int(limit))
