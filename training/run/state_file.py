"""The file that a run goes on from: complete, and written whole or not at all."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hrda_core.checkpoints import CheckpointError
from training.whole_files import part_of

STATE_FORMAT = 'hrda_ros training state 1'


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state whole or not at all.

    There is no second state to fall back on: the content is on the disk before its name is, so
    that not even a power cut leaves a broken one.

    Raises:
        OSError: the disk is full, or cannot be written to; what was there before stays.
    """
    temporary = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open('wb') as file:
            torch.save({'format': STATE_FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise OSError(
            f'{path} could not be written ({_reason(error)}), what it held before stays; make '
            'room on that disk, then go on with --resume'
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    # torch's writer hides what the file itself said behind an error of its own.
    said = error.__context__ if isinstance(error.__context__, OSError) else error
    return str(said).partition('\n')[0]


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote, on the CPU.

    Raises:
        CheckpointError: damaged, or something else.
    """
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f'{path}: no readable training state ({reason}); put a copy of it back, or start a '
            'new run whose model.start_from is the model.safetensors of this one'
        ) from error
    if not isinstance(state, dict) or state.get('format') != STATE_FORMAT:
        raise CheckpointError(f'{path}: no training state of this version ({STATE_FORMAT})')
    return state
