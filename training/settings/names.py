"""Dotted names of settings: which there are, which differ, and which one was meant."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from training.settings.run import TrainSettings


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = '') -> list[str]:
    """Dotted names of the settings in which two `to_dict` results differ."""
    names: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        a: Any = old.get(key)
        b: Any = new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping) and not _is_free_form(key):
            names += differences(a, b, f'{prefix}{key}.')
        elif _are_groups(a) and _are_groups(b) and len(a) == len(b):
            for number, (old_item, new_item) in enumerate(zip(a, b, strict=True)):
                names += differences(old_item, new_item, f'{prefix}{key}[{number}].')
        elif a != b:
            names.append(f'{prefix}{key}')
    return names


def setting_names(settings_type: type = TrainSettings, prefix: str = '') -> Iterator[str]:
    """Dotted names of all settings, groups included; items of a list have the list's name."""
    hints = typing.get_type_hints(settings_type)
    for field in dataclasses.fields(settings_type):
        yield prefix + field.name
        nested = _dataclass_in(hints[field.name])
        if nested is not None:
            yield from setting_names(nested, f'{prefix}{field.name}.')


def optional_groups(settings_type: type = TrainSettings) -> dict[str, type]:
    """Groups of settings that may be null: name to dataclass."""
    hints = typing.get_type_hints(settings_type)
    groups = {name: _dataclass_in(hint) for name, hint in hints.items() if _is_union(hint)}
    return {name: group for name, group in groups.items() if group is not None}


def check_names(values: Mapping[str, Any], file: str, prefix: str = '') -> None:
    """Refuse settings that do not exist.

    Args:
        values: what a settings file holds.
        file: its name, for the error.
        prefix: dotted name of the group that values belong to, with a dot at its end.

    Raises:
        ValueError: naming the key, the file and the nearest setting there is.
    """
    known = set(setting_names())
    for key, value in values.items():
        name = f'{prefix}{key}'
        if _without_indices(name) not in known:
            raise ValueError(f'{file}: {unknown_name(name)}')
        if isinstance(value, Mapping) and not _is_free_form(key):
            check_names(value, file, f'{name}.')
        elif _are_groups(value):
            for number, item in enumerate(value):
                check_names(item, file, f'{name}[{number}].')


def unknown_name(name: str) -> str:
    """A sentence about a setting that does not exist, with the nearest one that does."""
    known = list(setting_names())
    by_last = {known_name: known_name.rpartition('.')[2] for known_name in known}
    plain = _without_indices(name)
    near = difflib.get_close_matches(plain, known, 1, 0.5)
    near += [full for full, last in by_last.items() if last == plain.rpartition('.')[2]]
    hint = f'did you mean {near[0]}?' if near else 'hrda train --help lists the settings'
    return f'there is no setting {name}; {hint}'


def _is_free_form(key: object) -> bool:
    return key == 'merge'


def _are_groups(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _without_indices(name: str) -> str:
    return re.sub(r'\[\d+\]', '', name)


def _dataclass_in(hint: Any) -> type | None:
    options = typing.get_args(hint) if _holds_others(hint) else (hint,)
    return next((o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o)), None)


def _holds_others(hint: Any) -> bool:
    return _is_union(hint) or typing.get_origin(hint) is list


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)
