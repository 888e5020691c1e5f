"""The file that a run goes on from: complete, and written whole or not at all."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hrda_core.checkpoints import CheckpointError

STATE_FORMAT = 'hrda_ros training state 1'


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.part')
    with temporary.open('wb') as file:
        torch.save({'format': STATE_FORMAT, **state}, file)
        # The content must be on the disk before the name, or a power cut leaves an empty file.
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote, on the CPU.

    Raises:
        CheckpointError: damaged, or something else.
    """
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f'{path}: no readable training state: {reason}') from error
    if not isinstance(state, dict) or state.get('format') != STATE_FORMAT:
        raise CheckpointError(f'{path}: no training state of this version ({STATE_FORMAT})')
    return state
