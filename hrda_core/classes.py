"""Class sets: what a train id means, how it is coloured, and which raw ids become it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

IGNORE = 255
"""Train id of pixels that carry no label."""

Color = tuple[int, int, int]
Uint8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ClassSet:
    """Names, colours and raw ids of the classes; a class's position is its train id.

    Attributes:
        name: short name of the set, stored in checkpoints.
        names: class names, at most 255 of them.
        colors: RGB, 0..255, one per class.
        raw_ids: the raw ids of a data set's label files that become this class.
        things: names of countable classes; feature distance looks at these alone.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]
    raw_ids: tuple[tuple[int, ...], ...]
    things: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.names)
        if not 1 <= count <= IGNORE:
            raise ValueError(f'class set {self.name!r} has {count} classes; 1 to 255 fit a byte')
        if len(set(self.names)) != count:
            raise ValueError(f'class set {self.name!r} names a class twice: {self.names}')
        if len(self.colors) != count or len(self.raw_ids) != count:
            raise ValueError(f'class set {self.name!r}: one colour and one id list per class')
        for name, color in zip(self.names, self.colors, strict=True):
            if len(color) != 3 or not all(0 <= channel <= 255 for channel in color):
                raise ValueError(f'class {name!r}: colour {color} is not three values of 0..255')
        raw = [i for ids in self.raw_ids for i in ids]
        if len(set(raw)) != len(raw):
            raise ValueError(f'class set {self.name!r}: a raw id stands in two classes: {raw}')
        for thing in self.things:
            self.index(thing)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Train id of a class name; ValueError names the classes there are."""
        if name not in self.names:
            raise ValueError(
                f'no class {name!r} in class set {self.name!r}; it has: {", ".join(self.names)}'
            )
        return self.names.index(name)

    @cached_property
    def thing_ids(self) -> tuple[int, ...]:
        """Train ids of the countable classes."""
        return tuple(self.index(name) for name in self.things)

    @cached_property
    def palette(self) -> Uint8Array:
        """RGB of every possible byte, uint8 (256, 3); ids without a class are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = self.colors
        return table

    @cached_property
    def _train_id_table(self) -> Uint8Array:
        table = np.full(65536, IGNORE, np.uint8)
        for train_id, raw in enumerate(self.raw_ids):
            table[list(raw)] = train_id
        return table

    def colorize(self, labels: Uint8Array) -> Uint8Array:
        """Colour a label image.

        Shape:
            labels: uint8 (H, W) train ids; result: uint8 (H, W, 3) RGB.
        """
        return np.take(self.palette, labels, axis=0)

    def encode(self, raw: npt.NDArray[np.integer[Any]]) -> Uint8Array:
        """Turn raw ids (uint8 or uint16, any shape) into train ids; unknown ids become 255."""
        if raw.dtype not in (np.uint8, np.uint16):
            raise ValueError(f'raw ids must be uint8 or uint16, not {raw.dtype}')
        return np.take(self._train_id_table, raw)

    def to_dict(self) -> dict[str, Any]:
        """The set as plain values, in the layout of the YAML files."""
        things = set(self.things)
        rows = zip(self.names, self.colors, self.raw_ids, strict=True)
        return {
            'name': self.name,
            'classes': [
                {'name': name, 'color': list(color), 'ids': list(ids)}
                | ({'thing': True} if name in things else {})
                for name, color, ids in rows
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassSet:
        """Build a set from `{name, classes: [{name, color, ids, thing}]}`.

        Raises:
            ValueError: a key is missing, unknown or of the wrong kind.
        """
        try:
            rows = list(values['classes'])
            for row in rows:
                if unknown := set(row) - {'name', 'color', 'ids', 'thing'}:
                    raise ValueError(f'unknown keys {sorted(unknown)} in class {row}')
            return cls(
                name=str(values['name']),
                names=tuple(str(row['name']) for row in rows),
                colors=tuple(_color(row['color']) for row in rows),
                raw_ids=tuple(
                    tuple(int(i) for i in row.get('ids', [number]))
                    for number, row in enumerate(rows)
                ),
                things=tuple(str(row['name']) for row in rows if row.get('thing')),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(
                'a class set needs `name` and `classes`, each with `name`, `color: [r, g, b]` '
                f'and, where raw ids differ from the order, `ids`; found {error!r}'
            ) from error

    @classmethod
    def from_yaml(cls, path: str | Path) -> ClassSet:
        """Read a class set from a YAML file; errors name the file."""
        try:
            return cls.from_dict(yaml.safe_load(Path(path).read_text()))
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise ValueError(f'class set {path}: {error}') from error


def _color(values: Any) -> Color:
    red, green, blue = (int(v) for v in values)
    return red, green, blue


# name, colour, Cityscapes raw id, SYNTHIA raw id, countable
_STREET: tuple[tuple[str, Color, int, int, bool], ...] = (
    ('road', (128, 64, 128), 7, 3, False),
    ('sidewalk', (244, 35, 232), 8, 4, False),
    ('building', (70, 70, 70), 11, 2, False),
    ('wall', (102, 102, 156), 12, 21, False),
    ('fence', (190, 153, 153), 13, 5, False),
    ('pole', (153, 153, 153), 17, 7, False),
    ('traffic light', (250, 170, 30), 19, 15, True),
    ('traffic sign', (220, 220, 0), 20, 9, True),
    ('vegetation', (107, 142, 35), 21, 6, False),
    ('terrain', (152, 251, 152), 22, 16, False),
    ('sky', (70, 130, 180), 23, 1, False),
    ('person', (220, 20, 60), 24, 10, True),
    ('rider', (255, 0, 0), 25, 17, True),
    ('car', (0, 0, 142), 26, 8, True),
    ('truck', (0, 0, 70), 27, 18, True),
    ('bus', (0, 60, 100), 28, 19, True),
    ('train', (0, 80, 100), 31, 20, True),
    ('motorcycle', (0, 0, 230), 32, 12, True),
    ('bicycle', (119, 11, 32), 33, 11, True),
)


def _street_classes(name: str, raw_ids: Iterable[int]) -> ClassSet:
    return ClassSet(
        name=name,
        names=tuple(row[0] for row in _STREET),
        colors=tuple(row[1] for row in _STREET),
        raw_ids=tuple((raw_id,) for raw_id in raw_ids),
        things=tuple(row[0] for row in _STREET if row[4]),
    )


CITYSCAPES = _street_classes('cityscapes', (row[2] for row in _STREET))
"""The 19 evaluated Cityscapes classes; GTA5 uses the same raw ids (spec section 4)."""
SYNTHIA = _street_classes('synthia', (row[3] for row in _STREET))
"""The same 19 train ids with SYNTHIA-RAND-CITYSCAPES raw ids."""
_BUILT_IN = {'cityscapes': CITYSCAPES, 'synthia': SYNTHIA}


def resolve_classes(name_or_path: str) -> ClassSet:
    """A built-in set by name, or one of your own from a YAML file.

    Raises:
        ValueError: neither a known name nor a readable class file.
    """
    if name_or_path in _BUILT_IN:
        return _BUILT_IN[name_or_path]
    if not Path(name_or_path).is_file():
        raise ValueError(
            f'no class set {name_or_path!r}: expected one of {", ".join(sorted(_BUILT_IN))} '
            'or the path of a YAML file'
        )
    return ClassSet.from_yaml(name_or_path)
