"""How much memory of a device is free."""

from __future__ import annotations

from pathlib import Path

import torch

MEMORY_FILE = Path('/proc/meminfo')
CONTAINER_FILE = Path('/sys/fs/cgroup/memory.max')


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
