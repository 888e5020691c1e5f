"""Whether this machine is ready: device, processor cores, disk, output folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hrda_core.runtime import Runtime, choose_runtime
from training.doctor.findings import Findings, amount
from training.doctor.network import Network
from training.run.folder import RunFolder
from training.settings.run import TrainSettings

LITTLE_SHARED_MEMORY = 1 << 30
"""Bytes of /dev/shm below which loader processes may run out of it."""


def report_machine(settings: TrainSettings, findings: Findings) -> Runtime | None:
    """Findings about device, cores and output folder; the device, where it can be used."""
    with findings.kept('output'):
        RunFolder(settings.output).check_free()
    _report_cores(settings, findings)
    with findings.kept('loop.device', 'set loop.device and loop.precision'):
        return choose_runtime(settings.loop.device, settings.loop.precision)
    return None


def _report_cores(settings: TrainSettings, findings: Findings) -> None:
    loop, cores = settings.loop, len(os.sched_getaffinity(0))
    sets = 1 if settings.target is None or settings.method == 'source_only' else 2
    processes = sets * loop.workers + 1
    if processes > cores and loop.workers > 0:
        most = max((cores - 1) // sets, 0)
        findings.warning(
            'loop.workers',
            f'{amount(processes - 1, "loader")} and the trainer share {amount(cores, "core")}',
            f'set loop.workers: {most}' + ('' if most else ', which loads in the trainer itself'),
        )
    place = Path('/dev/shm')
    if loop.workers > 0 and place.is_dir():
        total = shutil.disk_usage(place).total
        if total < LITTLE_SHARED_MEMORY:
            findings.warning(
                'loop.workers',
                f'/dev/shm has {total / 1e6:.0f} MB, through which loading processes hand on '
                'images; they die when it is full',
                'start the container with --shm-size=4g (or --ipc=host), or loop.workers: 0',
            )


def report_disk(settings: TrainSettings, network: Network, findings: Findings) -> int:
    """Bytes that the run folder will need at most; a finding where the disk has fewer."""
    # A state is written beside the last one before it takes its name; student, teacher and best.
    needed = 2 * network.state_bytes + 3 * network.student_bytes
    place = Path(settings.output).absolute()
    while not place.is_dir():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        findings.error(
            'output',
            f'{place} has {free / 1e9:.1f} GB free, the run will write up to {needed / 1e9:.1f} '
            'GB: a saved state, the next one beside it, and the networks',
            'free some space, or choose another --output',
        )
    return needed
