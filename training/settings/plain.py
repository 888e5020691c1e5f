"""Settings of a run as plain values and YAML, and with absolute paths; needs no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from training.settings.run import TrainSettings


def to_dict(settings: TrainSettings) -> dict[str, Any]:
    """The settings as plain values: dicts, lists, numbers, text."""
    values: dict[str, Any] = _plain(dataclasses.asdict(settings))
    return values


def to_yaml(settings: TrainSettings) -> str:
    """The settings as YAML text that `hrda train` reads back."""
    return yaml.safe_dump(to_dict(settings), sort_keys=False, allow_unicode=True)


def absolute(settings: TrainSettings) -> TrainSettings:
    """The same settings with every path absolute, so that they hold in any directory."""
    classes = settings.classes
    changes: dict[str, Any] = {
        'output': _absolute_path(settings.output),
        'classes': _absolute_path(classes) if Path(classes).is_file() else classes,
    }
    for name in ('source', 'target', 'few_labels', 'validation'):
        data = getattr(settings, name)
        if data is not None:
            changes[name] = _with_absolute_root(data)
    changes['extra_sources'] = [_with_absolute_root(data) for data in settings.extra_sources]
    files = {name: getattr(settings.model, name) for name in ('encoder_weights', 'start_from')}
    found: dict[str, Any] = {
        name: _absolute_path(file) for name, file in files.items() if file is not None
    }
    changes['model'] = dataclasses.replace(settings.model, **found)
    teacher = settings.distillation.teacher
    if teacher is not None:
        changes['distillation'] = dataclasses.replace(
            settings.distillation, teacher=_absolute_path(teacher)
        )
    return dataclasses.replace(settings, **changes)


def _with_absolute_root(data: Any) -> Any:
    label_map = getattr(data, 'label_map', None)
    files = {'label_map': label_map} if label_map and Path(label_map).is_file() else {}
    return dataclasses.replace(
        data,
        root=_absolute_path(data.root),
        **{name: _absolute_path(file) for name, file in files.items()},
    )


def _absolute_path(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
