"""What is made of a recording, and by which network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hrda_core.classes import ClassSet
from hrda_core.inference import InferenceSettings
from hrda_core.runtime import choose_runtime
from training.bags.reading import Bag
from training.whole_files import sha256_of

COPIES = ('all', 'images', 'none')
_DEVICE, _PRECISION = 'device', 'precision'
_SECOND_NS = 1_000_000_000
_GLANCE_BYTES = 1 << 16


@dataclass(frozen=True)
class Part:
    """One of `count` parts that work is split into, counted from 0."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f'{self.index + 1}/{self.count}'

    def bounds(self, total: int) -> tuple[int, int]:
        """First and past-the-last of `total` things that belong to this part."""
        return total * self.index // self.count, total * (self.index + 1) // self.count


@dataclass(frozen=True)
class Making:
    """What is made.

    Args:
        interval_ns: distance between frames that are segmented [ns]; 0 takes all.
        copy: which recorded messages stand beside the results: all, the images that were
            segmented, or none.
        overlay: also make pictures of class colours over the images.
        alpha: weight of the colours, 0..1.
        min_confidence: pixels of lower confidence become 255, unlabelled, 0..1.
        compression: of the chunks of the file: zstd or none.
    """

    interval_ns: int = 0
    copy: Literal['all', 'images', 'none'] = 'all'
    overlay: bool = False
    alpha: float = 0.5
    min_confidence: float = 0.0
    compression: Literal['zstd', 'none'] = 'zstd'

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f'--alpha {self.alpha} is outside 0..1')
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f'--min-confidence {self.min_confidence} is outside 0..1')

    def options(self) -> dict[str, str]:
        """What is made, by the names of the options that ask for it."""
        every = f'{self.interval_ns / _SECOND_NS}s' if self.interval_ns else 'all'
        others = {name.replace('_', '-'): value for name, value in asdict(self).items()}
        del others['interval-ns']
        return {'--every': every} | {f'--{name}': f'{value}' for name, value in others.items()}


def parse_part(text: str | None) -> Part:
    """Read '2/8', the second of eight parts; None is the whole.

    Raises:
        ValueError: anything else.
    """
    if text is None:
        return Part()
    number, _, count = text.partition('/')
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return Part(int(number) - 1, int(count))
    raise ValueError(f"--shard '{text}' is no part of a whole; expected i/n such as 1/8 to 8/8")


def check_repeatable(settings: Any) -> None:
    """Refuse settings with which a frame's result is not its own alone.

    Args:
        settings: anything with the fields of `InferenceSettings`.

    Raises:
        ValueError: there are such.
    """
    if settings.deadline_ms is not None:
        raise ValueError(
            '--deadline_ms makes results depend on the speed of the machine; a recording does '
            'not wait, so leave windows out with --threshold or --budget'
        )
    if settings.ageing:
        raise ValueError(
            '--ageing makes results depend on the frames before, which parts and resumed runs '
            'do not have; leave it at 0'
        )


def describe(
    checkpoint: Path, settings: InferenceSettings, making: Making, classes: ClassSet
) -> dict[str, str]:
    """How results are made, as the notes of a file: equal notes mean equal results."""
    runtime = choose_runtime(settings.device, settings.precision)
    inference = {
        f'--{name}': json.dumps(value, sort_keys=True)
        for name, value in asdict(settings).items()
        if name not in (_DEVICE, _PRECISION)
    }
    colors = [list(color) for color in classes.colors]
    return {
        'command': 'hrda segment-bag',
        '--checkpoint': f'sha256:{sha256_of(checkpoint)}',
        f'--{_DEVICE}': runtime.device.type,
        f'--{_PRECISION}': str(runtime.dtype).removeprefix('torch.'),
        **inference,
        **making.options(),
        'classes': json.dumps(dict(zip(classes.names, colors, strict=True))),
    }


def input_note(bag: Bag) -> str:
    """What tells a recording from others; size, beginning and end stand for a whole file."""
    return json.dumps([[file.name, *_fingerprint(file)] for file in bag.files])


def describe_input(bag: Bag, topics: Mapping[str, object], part: Part) -> dict[str, str]:
    """What results are made of, as notes."""
    return {
        'input': input_note(bag),
        '--topic': json.dumps(list(topics)),
        '--shard': str(part),
    }


def _fingerprint(path: Path) -> tuple[int, str]:
    size = path.stat().st_size
    with path.open('rb') as file:
        digest = hashlib.sha256(file.read(_GLANCE_BYTES))
        file.seek(max(size - _GLANCE_BYTES, 0))
        digest.update(file.read(_GLANCE_BYTES))
    return size, digest.hexdigest()[:16]
