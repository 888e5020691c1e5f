"""From label files to train ids: what the numbers in them mean, and what to say of others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hrda_core.classes import IGNORE, ClassSet
from training.data.kinds import Pixels
from training.data.label_maps.pixels import IntArray, color_of, read_ids, read_pixels

Uint8Array = npt.NDArray[np.uint8]
_UNKNOWN = 256
Entries = tuple[tuple[int, int], ...]
"""(id or colour code, train id) of every value that a label may hold."""


class LabelCodec(Protocol):
    """Reads label files of one kind.

    Attributes:
        tolerant: whether values without a meaning are ignored, instead of being an error.
        remedy: what to do about such values.
        left_out: classes of the labels that the class set lacks, so that they are ignored.
    """

    @property
    def tolerant(self) -> bool: ...  # noqa: D102

    @property
    def remedy(self) -> str: ...  # noqa: D102

    @property
    def left_out(self) -> tuple[str, ...]: ...  # noqa: D102

    def read(self, path: Path) -> Uint8Array:
        """Train ids of a label file, uint8 (H, W), 255 = ignored.

        Raises:
            ValueError: the file cannot be read or holds a value without a meaning.
        """
        ...

    def strange(self, path: Path) -> dict[int, int]:
        """Values of a label file that have no meaning → how many pixels have them.

        Raises:
            ValueError: the file cannot be read.
        """
        ...

    def show(self, value: int) -> str:
        """A value of a label file in words."""
        ...

    def key(self) -> str:
        """Text that differs between codecs which read a file differently."""
        ...


@dataclass(frozen=True)
class TrainIds:
    """Labels whose pixels are class indices, 255 = ignored.

    Attributes:
        classes: the class set.
    """

    classes: ClassSet
    left_out = ()
    tolerant = False
    remedy = 'name another class set, set label_ids: raw if these are raw ids, or give a label_map'

    def read(self, path: Path) -> Uint8Array:
        """See `LabelCodec.read`."""
        ids = read_ids(path)
        wrong = self._wrong(ids)
        if wrong.any():
            raise ValueError(
                f'label {path} holds id {int(ids[wrong].min())}, but class set '
                f'{self.classes.name!r} has 0..{len(self.classes) - 1} and 255 = ignored; '
                f'{self.remedy}'
            )
        return ids.astype(np.uint8)

    def strange(self, path: Path) -> dict[int, int]:
        """See `LabelCodec.strange`."""
        ids = read_ids(path)
        return _count(ids[self._wrong(ids)])

    def show(self, value: int) -> str:
        """See `LabelCodec.show`."""
        return str(value)

    def _wrong(self, ids: IntArray) -> npt.NDArray[np.bool_]:
        wrong: npt.NDArray[np.bool_] = (ids >= len(self.classes)) & (ids != IGNORE)
        return wrong

    def key(self) -> str:
        """See `LabelCodec.key`."""
        return json.dumps(['train', len(self.classes)])


@dataclass(frozen=True)
class RawIds:
    """Labels whose pixels are the class set's own raw ids; other ids are ignored.

    Attributes:
        classes: the class set.
        pixels: where in the file the id stands.
    """

    classes: ClassSet
    pixels: Pixels = 'id'
    left_out = ()
    tolerant = True
    remedy = 'add the ids to the class set'

    def read(self, path: Path) -> Uint8Array:
        """See `LabelCodec.read`."""
        return self.classes.encode(read_pixels(path, self.pixels))

    def strange(self, path: Path) -> dict[int, int]:
        """See `LabelCodec.strange`."""
        ids = read_pixels(path, self.pixels)
        return _count(ids[self.classes.encode(ids) == IGNORE])

    def show(self, value: int) -> str:
        """See `LabelCodec.show`."""
        return str(value)

    def key(self) -> str:
        """See `LabelCodec.key`."""
        return json.dumps(['raw', self.pixels, self.classes.raw_ids])


@dataclass(frozen=True)
class MappedLabels:
    """Labels whose pixels are looked up in a table.

    Attributes:
        name: of the table, for errors.
        pixels: what the pixels are.
        entries: the table; 255 = ignored.
        remedy: what to do about a value that is not in the table.
        tolerant: whether such values are ignored.
        left_out: classes that the table names and the class set lacks; they are ignored.
    """

    name: str
    pixels: Pixels
    entries: Entries
    remedy: str
    tolerant: bool = False
    left_out: tuple[str, ...] = ()

    def read(self, path: Path) -> Uint8Array:
        """See `LabelCodec.read`."""
        values = read_pixels(path, self.pixels)
        train_ids = np.take(_table(self.entries, self.pixels), values)
        unknown = train_ids == _UNKNOWN
        if unknown.any():
            if not self.tolerant:
                raise ValueError(f'label {path} {self._describe(values[unknown])}; {self.remedy}')
            train_ids[unknown] = IGNORE
        return train_ids.astype(np.uint8)

    def strange(self, path: Path) -> dict[int, int]:
        """See `LabelCodec.strange`."""
        values = read_pixels(path, self.pixels)
        return _count(values[np.take(_table(self.entries, self.pixels), values) == _UNKNOWN])

    def show(self, value: int) -> str:
        """See `LabelCodec.show`."""
        return str(color_of(value)) if self.pixels == 'color' else str(value)

    def key(self) -> str:
        """See `LabelCodec.key`."""
        return json.dumps([self.pixels, self.entries, self.tolerant])

    def _describe(self, values: IntArray) -> str:
        counts = _count(values)
        value = max(counts, key=counts.__getitem__)
        kind = 'colour' if self.pixels == 'color' else 'id'
        others = f' and {len(counts) - 1} more such values' if len(counts) > 1 else ''
        return (
            f'holds {kind} {self.show(value)} in {counts[value]} pixels{others}, '
            f'which label map {self.name!r} does not list'
        )


def _count(values: IntArray) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return {int(value): int(count) for value, count in zip(found, counts, strict=True)}


@lru_cache(maxsize=8)
def _table(entries: Entries, pixels: Pixels) -> npt.NDArray[np.uint16]:
    # Kept here and not in the codec: a table over all colours has 32 MB, too much to be copied
    # into every process that loads frames.
    size = 1 << 24 if pixels == 'color' else 1 << 16
    table = np.full(size, _UNKNOWN, np.uint16)
    for value, train_id in entries:
        table[value] = train_id
    return table
