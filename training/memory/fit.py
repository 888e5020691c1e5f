"""Settings that fit into a memory: the least costly change first, and advice when it ran out."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hrda_core.runtime import choose_runtime
from training.memory.estimate import GIGABYTE, MemoryEstimate, estimate
from training.memory.free import free_bytes

if TYPE_CHECKING:
    from training.settings.run import TrainSettings

_UNITS = {'kb': 10**3, 'mb': 10**6, 'gb': 10**9, 'kib': 2**10, 'mib': 2**20, 'gib': 2**30}
_SIZE = re.compile(r'(\d+(?:\.\d*)?|\.\d+)\s*([kmg]i?b)', re.IGNORECASE)
_CROP_SHARES = (0.75, 0.5)


class OutOfMemory(ValueError):
    """A step did not fit; the message names settings that would."""


@dataclass(frozen=True)
class Fitted:
    """Settings that fit.

    Attributes:
        settings: the whole run.
        changes: what was changed, as arguments of `hrda train`.
        needed: what they need.
    """

    settings: TrainSettings
    changes: tuple[str, ...]
    needed: MemoryEstimate


def parse_size(text: str) -> int:
    """Read '12GB', '800 MB' or '11.5GiB' as bytes.

    Raises:
        ValueError: anything else.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or not float(match[1]) > 0:
        raise ValueError(
            f"'{text}' is no size of memory; expected auto, or such as 12GB or 11.5GiB"
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def available_memory(device: torch.device) -> int:
    """What this process may have of a device's memory, with what it has already [bytes]."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    page = os.sysconf('SC_PAGE_SIZE')
    free = free_bytes(device)
    if free is None:  # no Linux
        return os.sysconf('SC_PHYS_PAGES') * page
    return free + int(Path('/proc/self/statm').read_text().split()[1]) * page


def fit(settings: TrainSettings, size: str, *, resumed: bool = False) -> Fitted:
    """Choose the least costly settings that fit.

    Args:
        settings: the run as it is wanted.
        size: the memory, see `parse_size`; 'auto' takes what the device has free.
        resumed: whether a run goes on, whose network and crops must stay.

    Raises:
        ValueError: no size, or nothing fits.
    """
    device = choose_runtime(settings.loop.device, 'fp32').device
    limit = available_memory(device) if size == 'auto' else parse_size(size)
    smallest = None
    for changes, candidate in ladder(settings, resumed=resumed):
        smallest = Fitted(candidate, changes, estimate(candidate))
        if smallest.needed.total <= limit:
            return smallest
    assert smallest is not None
    raise ValueError(
        f'--fit {size}: even with {" ".join(smallest.changes) or "no change possible"} this run '
        f'needs {smallest.needed}; take a smaller model.encoder or narrower heads '
        '(model.head_channels, model.embed_channels)'
    )


def ladder(
    settings: TrainSettings, *, resumed: bool = False
) -> Iterator[tuple[tuple[str, ...], TrainSettings]]:
    """The settings as they are, and then ever cheaper in memory and dearer otherwise.

    bf16 costs nothing where a GPU computes it; recomputation costs time; batches of one image
    cost more of it, and batch norms that see less; smaller crops cost accuracy.

    Yields:
        The changes as arguments of `hrda train`, and the whole settings.
    """
    changes: dict[str, Any] = {}
    yield (), settings
    loop = settings.loop
    bf16 = choose_runtime(loop.device).dtype == torch.bfloat16
    steps: list[dict[str, Any]] = []
    if bf16 and loop.precision == 'fp32':
        steps.append({'loop.precision': 'bf16'})
    if not loop.gradient_checkpointing:
        compiled = {'loop.compile': False} if loop.compile else {}
        steps.append({'loop.gradient_checkpointing': True} | compiled)
    if loop.batch_size > 1:
        accumulate = loop.accumulate * loop.batch_size
        steps.append({'loop.batch_size': 1, 'loop.accumulate': accumulate})
    if not resumed:
        steps += [_crops(settings, share) for share in _CROP_SHARES]
    for step in steps:
        changes |= step
        yield (
            tuple(f'--{name}={_text(value)}' for name, value in changes.items()),
            _with(settings, changes),
        )


def _crops(settings: TrainSettings, share: float) -> dict[str, Any]:
    def smaller(size: int) -> int:
        return max(int(size * share) // 16 * 16, 64)

    changes = {'model.context_size': smaller(settings.model.context_size)}
    if settings.model.multi_resolution:
        changes['model.detail_size'] = smaller(settings.model.detail_size)
    ratio = settings.self_training.rare_class_min_crop_ratio * share**2
    return changes | {'self_training.rare_class_min_crop_ratio': round(ratio, 4)}


def _with(settings: TrainSettings, changes: dict[str, Any]) -> TrainSettings:
    groups: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        group, _, field = name.partition('.')
        groups.setdefault(group, {})[field] = value
    return dataclasses.replace(
        settings,
        **{
            name: dataclasses.replace(getattr(settings, name), **fields)
            for name, fields in groups.items()
        },
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def advice(settings: TrainSettings, *, resumed: bool) -> str:
    """Half a sentence on settings that would have fitted, as arguments of `hrda train`.

    Args:
        settings: those that did not fit.
        resumed: whether a run is to go on, whose network and crops must stay.
    """
    limit = available_memory(choose_runtime(settings.loop.device, 'fp32').device)
    needed = None
    for changes, candidate in ladder(settings, resumed=resumed):
        found = estimate(candidate)
        if needed is None:
            needed = found
        elif found.total <= min(limit, needed.total * 0.95):
            return (
                f'it needs {needed}, and there are {limit / GIGABYTE:.1f} GB; '
                f'{" ".join(changes)} would fit with about {found.total / GIGABYTE:.1f} GB'
            )
    return (
        f'it needs {needed}, and there are {limit / GIGABYTE:.1f} GB, which neither '
        'loop.precision, loop.gradient_checkpointing nor loop.batch_size 1 with loop.accumulate '
        'can bring together; take smaller model.context_size and model.detail_size, or a smaller '
        'model.encoder'
    )
