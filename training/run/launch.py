"""Starts the processes of a run, or finds its place among those that were started."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from hrda_core.runtime import Runtime, choose_runtime
from training.run.processes import ALONE, Processes
from training.settings.run import LoopSettings

FABRIC_PRECISION: dict[torch.dtype, Any] = {
    torch.float32: '32-true',
    torch.bfloat16: 'bf16-mixed',
    torch.float16: '16-mixed',
}


@dataclass(frozen=True)
class Workplace:
    """Where this process trains, and with whom.

    Attributes:
        fabric: moves data, runs backward passes and steps in the chosen precision.
        runtime: the device of this process, the precision, and why.
        processes: this process among the others.
    """

    fabric: Fabric
    runtime: Runtime
    processes: Processes


def find_workplace(settings: LoopSettings) -> Workplace:
    """Choose device and precision, and start the other processes where there are to be any.

    `loop.devices` and `loop.nodes` say how many; the command is then run once per device. Under
    torchrun or srun the processes are there already, and as many as those have started.

    Raises:
        ValueError: a device, a precision or a number of devices that cannot be had.
    """
    runtime = choose_runtime(settings.device, settings.precision)
    started = _started_processes()
    devices, nodes = started or (_devices(settings, runtime), settings.nodes)
    if nodes > 1 and not started and 'MASTER_ADDR' not in os.environ:
        raise ValueError(
            f'loop.nodes is {nodes}, but nothing tells where the other machines are: start the '
            'command by torchrun or srun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK'
        )
    if devices * nodes == 1:
        return lone_workplace(runtime)
    fabric = Fabric(
        accelerator=runtime.device.type,
        devices=devices,
        num_nodes=nodes,
        strategy='ddp',
        precision=FABRIC_PRECISION[runtime.dtype],
        # Else a batch script of Slurm that does not use srun would be taken for many tasks.
        plugins=None if started else [LightningEnvironment()],
    )
    fabric.launch()
    runtime = dataclasses.replace(runtime, device=fabric.device)
    return Workplace(fabric, runtime, Processes(fabric.global_rank, fabric.world_size))


def lone_workplace(runtime: Runtime) -> Workplace:
    """One process on one device."""
    index = runtime.device.index or 0
    devices: Any = [index] if runtime.device.type == 'cuda' else 1
    precision = FABRIC_PRECISION[runtime.dtype]
    fabric = Fabric(accelerator=runtime.device.type, devices=devices, precision=precision)
    return Workplace(fabric, runtime, ALONE)


def _started_processes() -> tuple[int, int] | None:
    """Processes per machine, and machines, as torchrun or srun have started them."""
    known = os.environ
    if 'TORCHELASTIC_RUN_ID' in known:
        local = int(known['LOCAL_WORLD_SIZE'])
        return local, int(known['WORLD_SIZE']) // local
    tasks = int(known.get('SLURM_STEP_NUM_TASKS', 1))
    if tasks > 1:
        nodes = int(known.get('SLURM_STEP_NUM_NODES', 1))
        return tasks // nodes, nodes
    return None


def _devices(settings: LoopSettings, runtime: Runtime) -> int:
    """How many devices of this machine to use."""
    there = torch.cuda.device_count() if runtime.device.type == 'cuda' else None
    if settings.devices == 'auto':
        return there or 1
    if there is not None and settings.devices > there:
        raise ValueError(
            f'loop.devices is {settings.devices}, but torch sees {there} GPUs here; use auto, or '
            'check CUDA_VISIBLE_DEVICES'
        )
    return settings.devices
