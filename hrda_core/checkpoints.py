"""Checkpoints: safetensors files that carry everything needed to use their weights."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.hrda import HRDA

T = TypeVar('T')
FORMAT = 'hrda_ros model 1'
ENCODER_FORMAT = 'hrda_ros encoder 1'
RESERVED = ('format', 'architecture', 'classes', 'step')


class CheckpointError(ValueError):
    """A file that cannot be used as a checkpoint; the message names the file and the reason."""


@dataclass(frozen=True)
class KeyReport:
    """What became of the entries of a foreign state dict.

    Attributes:
        matched: names in the file whose tensors were taken.
        missing: names that the model has and the file lacks.
        unexpected: names in the file that nothing here uses.
        notes: sentences for the user.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f'matched {len(self.matched)}']
        for title, names in (('missing', self.missing), ('unexpected', self.unexpected)):
            lines.append(f'{title} {len(names)}' + (f': {_shorten(names)}' if names else ''))
        return '\n'.join([*lines, *self.notes])


def _shorten(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    more = f', ... ({len(names) - most} more)' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def save_model(
    path: str | Path, model: HRDA, *, step: int, extra: Mapping[str, str] | None = None
) -> None:
    """Write a model, whole or not at all.

    Args:
        path: the .safetensors file.
        model: weights, architecture and classes to store.
        step: training steps the weights have seen.
        extra: more metadata, such as a licence note.

    Raises:
        ValueError: `extra` uses a name that the format itself uses.
    """
    extra = dict(extra or {})
    if taken := set(extra) & set(RESERVED):
        raise ValueError(f'metadata names {sorted(taken)} are used by the format itself')
    metadata = {
        'format': FORMAT,
        'architecture': model.architecture.to_json(),
        'classes': json.dumps(model.classes.to_dict()),
        'step': str(step),
    } | extra
    write_safetensors(path, model.state_dict(), metadata)


def write_safetensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write tensors under a temporary name, then rename.

    Raises:
        OSError: the disk is full, or cannot be written to; what was there before stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        save_file(plain, temporary, metadata=metadata)
        # The content must be on the disk before the name, or a power cut leaves an empty file.
        with temporary.open('rb') as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except SafetensorError as error:
        raise OSError(
            f'{path} could not be written ({error}), what it held before stays; make room on '
            'that disk'
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def add_metadata(path: str | Path, entries: Mapping[str, str], output: str | Path) -> None:
    """Copy a safetensors file with more metadata, or other values of it; `output` may be `path`.

    Raises:
        CheckpointError: as `read_metadata`.
        OSError: as `write_safetensors`.
    """
    write_safetensors(output, read_tensors(path), read_metadata(path) | dict(entries))


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        CheckpointError: no such file, truncated, or not safetensors.
    """
    return _read(path, lambda file: dict(file.metadata() or {}))


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU; CheckpointError like `read_metadata`."""
    return _read(path, lambda file: {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def _read(path: str | Path, take: Callable[[Any], T]) -> T:
    try:
        with safe_open(path, framework='pt') as file:
            return take(file)
    except FileNotFoundError as error:
        raise CheckpointError(f'{path}: no such file') from error
    except (SafetensorError, OSError) as error:
        hint = 'copy or export it again'
        if Path(path).is_dir():
            hint = 'it is a folder; name the .safetensors file in it'
        elif Path(path).suffix in ('.pth', '.pt', '.ckpt'):
            hint = 'convert a published .pth with `hrda import`'
        raise CheckpointError(
            f'{path}: truncated, or not a safetensors file ({error}); {hint}'
        ) from error


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a foreign checkpoint, .safetensors or torch's .pth, by their names there.

    Pickled files are read with `weights_only=True`: nothing in them is executed.

    Raises:
        CheckpointError: the file is missing, damaged, holds more than tensors and plain
            values, or has no tensors.
    """
    path = Path(path)
    if path.suffix == '.safetensors':
        return read_tensors(path)
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f'{path}: no such file') from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f'{path}: {_why_refused(str(error))}') from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError) as error:
        reason = str(error).partition('\n')[0]
        raise CheckpointError(
            f'{path}: truncated, or not a torch checkpoint ({reason})'
        ) from error
    for key in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f'{path}: holds no state dict')
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}


def _why_refused(reason: str) -> str:
    """Why torch does not unpickle a file, without its advice to do so anyway."""
    if not re.search(r'Unsupported (global|class)', reason):
        return 'truncated, or not a torch checkpoint'
    return (
        'refused, because reading it would run code from the file, which a checkpoint does not '
        'need; if you trust its source, load it with its own software and save the bare state '
        'dict with torch.save'
    )


def read_model_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a model that `save_model` wrote, without a look at its weights.

    Raises:
        CheckpointError: the file is missing, truncated, or holds anything else.
    """
    metadata = read_metadata(path)
    if metadata.get('format') != FORMAT:
        raise CheckpointError(f'{path}: {_foreign(metadata.get("format"))}')
    return metadata


class ModelDescription(NamedTuple):
    """What a checkpoint says of the network in it.

    Attributes:
        architecture: how it is built.
        classes: what it tells apart.
        step: training steps its weights have seen.
        metadata: all that stands in the file besides weights.
    """

    architecture: Architecture
    classes: ClassSet
    step: int
    metadata: dict[str, str]


def describe_model(path: str | Path) -> ModelDescription:
    """What a model is that `save_model` wrote, without a look at its weights.

    Raises:
        CheckpointError: as `read_model_metadata`, or what it says makes no sense.
    """
    metadata = read_model_metadata(path)
    try:
        return ModelDescription(
            Architecture.from_json(metadata['architecture']),
            ClassSet.from_dict(json.loads(metadata['classes'])),
            int(metadata['step']),
            metadata,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path, error) from error


def load_model(path: str | Path, device: str | torch.device = 'cpu') -> HRDA:
    """Load a model that `save_model` or `hrda import` wrote; nothing else is needed.

    Args:
        path: the .safetensors file.
        device: where its weights go.

    Returns:
        The model in eval mode; `step`, `metadata` and `checkpoint` tell where it comes from.

    Raises:
        CheckpointError: the file is missing, truncated, foreign, or does not fit itself.
    """
    described = describe_model(path)
    try:
        model = HRDA(described.architecture, described.classes)
    except ValueError as error:
        raise _unusable(path, error) from error
    try:
        model.load_state_dict(read_tensors(path))
    except RuntimeError as error:
        raise CheckpointError(
            f'{path}: its weights do not fit the architecture it names: {error}'
        ) from error
    model.step, model.metadata = described.step, described.metadata
    model.checkpoint = Path(path)
    return model.to(device).eval()


def _unusable(path: str | Path, error: Exception) -> CheckpointError:
    return CheckpointError(f'{path}: its metadata cannot be used: {error}')


def _foreign(found: str | None) -> str:
    if found == ENCODER_FORMAT:
        return 'holds an encoder alone; use it for training as model.encoder_weights'
    if found is None:
        return (
            'is a safetensors file, but not a model of hrda_ros; train one with `hrda train` or '
            'convert a published one with `hrda import`'
        )
    return f'has format {found!r}, this version reads {FORMAT!r}'
