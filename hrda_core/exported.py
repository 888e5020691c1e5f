"""Networks as ONNX files: where they lie, what is in them, which network they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hrda_core.hrda import HRDA

FORMAT = 'hrda_ros export 1'
MANIFEST = 'export.json'
CONTEXT, DETAIL = 'context.onnx', 'detail.onnx'
INPUT = 'images'
AXES = {0: 'batch', 2: 'height', 3: 'width'}
"""Axes of the input that any number fits, and their names."""
OUTPUTS = ('logits', 'attention')
"""What `context.onnx` gives; `detail.onnx` gives the first alone, as do networks without it."""
PRECISIONS = ('fp32', 'fp16')


class EngineError(ValueError):
    """Why a network cannot be computed by something other than torch; names the remedy."""


@dataclass(frozen=True)
class Export:
    """What `export.json` says of the files beside it.

    Attributes:
        weights: digest of the network, see `digest`.
        precision: what matrix products are computed in, fp32 or fp16; inputs and outputs are
            float32.
        agreement: how near they came to torch when they were made, in words, by file.
        architecture: fields of `Architecture`, with mean and standard deviation of the inputs.
        classes: as of `ClassSet.to_dict`, in the order of the logits.
        versions: package -> version that took part.
        licence: of the weights, as the checkpoint says.
        format: of this file.
    """

    weights: str
    precision: str
    agreement: Mapping[str, str]
    architecture: Mapping[str, Any]
    classes: Mapping[str, Any]
    versions: Mapping[str, str | None]
    licence: str | None = None
    format: str = FORMAT

    def to_json(self) -> str:
        """The text of `export.json`."""
        return json.dumps(asdict(self), indent=2) + '\n'


def export_folder(model: HRDA, named: str = '') -> Path:
    """Where the files of a network are: as named, or model.onnx/ beside model.safetensors.

    Raises:
        EngineError: no folder is named, and the network comes from no checkpoint.
    """
    if named:
        return Path(named)
    if model.checkpoint is None:
        raise EngineError('export_dir names no folder; set it to what `hrda export` wrote')
    return model.checkpoint.with_suffix('.onnx')


def files_of(model: HRDA) -> tuple[str, ...]:
    """Names of the files that a network needs; one of one resolution has no detail."""
    return (CONTEXT, DETAIL) if model.architecture.multi_resolution else (CONTEXT,)


def digest(model: HRDA) -> str:
    """SHA-256 of all that decides what a network answers to an input: weights and kind."""
    a = model.architecture
    kind = [a.encoder, a.head, a.attention, a.fixed_attention]
    found = hashlib.sha256(json.dumps(kind).encode())
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().numpy().reshape(-1).view('uint8').data


def read_export(folder: Path, model: HRDA) -> Export:
    """The files of a network.

    Args:
        folder: what `hrda export` wrote.
        model: the network that they must have been made from.

    Raises:
        EngineError: they are not there, cannot be read, or belong to another network.
    """
    try:
        values = json.loads((folder / MANIFEST).read_text())
        if not isinstance(values, dict) or values.get('format') != FORMAT:
            raise ValueError(f'this version reads the format {FORMAT!r}')
        export = Export(**values)
    except FileNotFoundError:
        raise EngineError(
            f'{folder} holds no exported network; write one with `hrda export`'
        ) from None
    except (OSError, TypeError, ValueError) as error:
        raise EngineError(
            f'{folder / MANIFEST} cannot be used ({error}); run `hrda export` again'
        ) from error
    if export.weights != digest(model):
        raise EngineError(
            f'{folder} was made from other weights than this checkpoint has; run `hrda export` '
            'again'
        )
    missing = [name for name in files_of(model) if not (folder / name).is_file()]
    if missing:
        raise EngineError(f'{folder} lacks {", ".join(missing)}; run `hrda export` again')
    return export
