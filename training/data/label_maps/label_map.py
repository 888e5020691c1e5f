"""A label map: a table from ids or colours to class names, from YAML.

The tables beside this file are those of published data sets and simulators. One of your own is a
YAML file of the same form:

    pixels: color          # color: RGB; id: one number per pixel (default); red: id in the red
    others: error          # channel of an RGB picture. Values that are not listed: error, ignore
    labels:
    - {color: [128, 64, 128], class: road}
    - {color: [0, 0, 0], class: null}          # null = ignored
    - {name: lamp post, color: [9, 9, 9], class: pole}

Rows may have an `id` as well as a `color`; `label_ids` in the settings then chooses.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from hrda_core.classes import IGNORE, ClassSet
from training.data.kinds import Pixels
from training.data.label_maps.codecs import MappedLabels
from training.data.label_maps.pixels import Color, color_code

FOLDER = Path(__file__).parent
_ROW_KEYS = ('name', 'id', 'color', 'class')
_KEYS = ('pixels', 'others', 'labels')


@dataclass(frozen=True)
class LabelRow:
    """One kind of label.

    Attributes:
        class_name: the class that it becomes; None = ignored.
        name: what the data set calls it.
        id: its number, 0..65535, or None.
        color: its RGB, 0..255, or None.
    """

    class_name: str | None
    name: str = ''
    id: int | None = None
    color: Color | None = None

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.id is None and self.color is None:
            raise ValueError(f'label {self.name or self.class_name!r} has neither id nor color')
        if self.id is not None and not 0 <= self.id <= 65535:
            raise ValueError(f'id {self.id} is outside 0..65535')
        if self.color is not None and not all(0 <= channel <= 255 for channel in self.color):
            raise ValueError(f'color {self.color} is not three values of 0..255')

    def value(self, pixels: Pixels) -> int | None:
        """The number that stands for it in a label file, or None."""
        if pixels != 'color':
            return self.id
        return None if self.color is None else color_code(self.color)


@dataclass(frozen=True)
class LabelMap:
    """A table from ids or colours to class names.

    Attributes:
        name: built-in name or path.
        rows: the labels that there are.
        pixels: what the pixels of its label files are, unless the settings say otherwise.
        others: whether values that no row has are an error or ignored.
        built_in: whether it comes with the project; it may then name classes that a class set
            lacks.
    """

    name: str
    rows: tuple[LabelRow, ...]
    pixels: Pixels = 'id'
    others: Literal['error', 'ignore'] = 'error'
    built_in: bool = False

    def codec(self, classes: ClassSet, pixels: Pixels | None = None) -> MappedLabels:
        """What reads label files by this table.

        Classes that a built-in table names and the class set lacks are ignored.

        Args:
            classes: the class set that the names belong to.
            pixels: what the pixels are; None = as the table says.

        Raises:
            ValueError: a class name, or two classes for one value, or no value at all.
        """
        pixels = pixels or self.pixels
        entries = self._entries(classes, pixels)
        if all(train_id == IGNORE for train_id in entries.values()):
            raise ValueError(
                f'label map {self.name}: no row with {"color" if pixels == "color" else "id"} '
                f'belongs to a class of class set {classes.name!r}, which has '
                f'{", ".join(classes.names)}; name these in a label_map of your own'
            )
        named = dict.fromkeys(row.class_name for row in self.rows if row.class_name is not None)
        remedy = (
            'add it to the map (class: null ignores it), give a label_map of your own, or check '
            'kind and label_ids'
        )
        return MappedLabels(
            self.name,
            pixels,
            tuple(sorted(entries.items())),
            remedy,
            tolerant=self.others == 'ignore',
            left_out=tuple(name for name in named if name not in classes.names),
        )

    def _entries(self, classes: ClassSet, pixels: Pixels) -> dict[int, int]:
        entries: dict[int, int] = {}
        for row in self.rows:
            value = row.value(pixels)
            if value is None:
                continue
            train_id = self._train_id(row.class_name, classes)
            if entries.setdefault(value, train_id) != train_id:
                shown = row.color if pixels == 'color' else row.id
                raise ValueError(f'label map {self.name}: {shown} stands for two classes')
        return entries

    def _train_id(self, name: str | None, classes: ClassSet) -> int:
        if name is None or (self.built_in and name not in classes.names):
            return IGNORE
        try:
            return classes.index(name)
        except ValueError as error:
            near = difflib.get_close_matches(name, classes.names, 1)
            hint = f'; did you mean {near[0]!r}?' if near else ''
            raise ValueError(f'label map {self.name}: {error}{hint}') from error


def built_in_label_maps() -> list[str]:
    """Names of the tables that come with the project."""
    return sorted(path.stem for path in FOLDER.glob('*.yaml'))


@lru_cache(maxsize=32)
def built_in_label_map(name: str) -> LabelMap:
    """A table that comes with the project."""
    return _read(FOLDER / f'{name}.yaml', name, built_in=True)


def resolve_label_map(name_or_path: str) -> LabelMap:
    """A built-in table by name, or one of your own from a YAML file.

    Raises:
        ValueError: neither a known name nor a readable table.
    """
    known = built_in_label_maps()
    if name_or_path in known:
        return built_in_label_map(name_or_path)
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise ValueError(
            f'no label map {name_or_path!r}: expected one of {", ".join(known)} or the path of a '
            'YAML file'
        )
    return _read(path, name_or_path, built_in=False)


def _read(path: Path, name: str, *, built_in: bool) -> LabelMap:
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8'))
        return _from_dict(values, name, built_in)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f'label map {path}: {error}') from error


def _from_dict(values: Any, name: str, built_in: bool) -> LabelMap:
    if not isinstance(values, Mapping) or not isinstance(values.get('labels'), list):
        raise ValueError('expected `labels`, a list of {id or color, class}')
    _check_keys(values, _KEYS)
    pixels, others = values.get('pixels', 'id'), values.get('others', 'error')
    if pixels not in ('id', 'color', 'red'):
        raise ValueError(f'pixels is {pixels!r}, expected id, color or red')
    if others not in ('error', 'ignore'):
        raise ValueError(f'others is {others!r}, expected error or ignore')
    rows = tuple(_row(row) for row in values['labels'])
    return LabelMap(name, rows, pixels, others, built_in)


def _row(values: Any) -> LabelRow:
    if not isinstance(values, Mapping) or 'class' not in values:
        raise ValueError(f'row {values} lacks `class`; null = ignored')
    _check_keys(values, _ROW_KEYS)
    number, color = values.get('id'), values.get('color')
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise ValueError(f'id {number!r} of row {dict(values)} is no whole number')
    class_name = None if values['class'] is None else str(values['class'])
    return LabelRow(class_name, str(values.get('name', '')), number, _color(color, values))


def _color(color: Any, row: Mapping[str, Any]) -> Color | None:
    if color is None:
        return None
    if not isinstance(color, list) or [type(channel) for channel in color] != [int] * 3:
        raise ValueError(f'color {color!r} of row {dict(row)} is not [red, green, blue]')
    red, green, blue = color
    return red, green, blue


def _check_keys(values: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0)[0]
            raise ValueError(f'there is no {key!r} in a label map; did you mean {near}?')
