"""Whether a training step fits into the memory of the device."""

from __future__ import annotations

from hrda_core.runtime import Runtime
from training.doctor.findings import Findings
from training.memory.estimate import GIGABYTE, estimate
from training.memory.free import free_bytes
from training.settings.run import TrainSettings


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
