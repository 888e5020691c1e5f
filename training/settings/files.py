"""Settings files: differences over a base, and what a file says about itself; needs no torch.

A file may name a `base`, another settings file, by its path from the file's own folder; what
stands beside it are differences. They are merged key by key into groups of settings (`model`,
`loop`, ...); anything else, lists and `null` included, replaces what the base says. Several bases
(a list) are laid over each other in their order, and a base may have bases itself.

`output` alone is not taken from a base, since each run needs a folder of its own.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from training.settings.names import check_names, setting_names


@dataclass(frozen=True)
class About:
    """What a settings file says about itself in its block `about`; training ignores it."""

    shows: str
    """What one learns from the run, in a few words."""
    paper: dict[str, str] = field(default_factory=dict)
    """The published tables and figures that it is a row of, and what the row is called there."""
    published: float | None = None
    """Published mIoU [%], mean over seeds; null = not quoted."""
    source: str = ''
    """Where that number stands."""
    from_memory: bool = False
    """Whether the number was not looked up; then check it before you cite it."""
    deviates: str = ''
    """How the run differs from what was published, beyond random draws; '' = not known to."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ('shows', 'source', 'deviates'):
            if not isinstance(value := getattr(self, name), str):
                raise ValueError(f'about.{name} is {value!r}, expected text')
        if not isinstance(self.paper, dict):
            raise ValueError(f'about.paper is {self.paper!r}, expected TABLE: NAME OF THE ROW')
        if isinstance(self.published, bool) or not isinstance(self.published, int | float | None):
            raise ValueError(f'about.published is {self.published!r}, expected a number or null')
        if self.published is not None and not (0 <= self.published <= 100 and self.source):
            raise ValueError(
                f'about.published is {self.published}, expected 0..100 [%] and a source'
            )


@dataclass(frozen=True)
class SettingsFile:
    """One settings file as it stands, its bases not merged in.

    Attributes:
        path: of the file.
        bases: the files that it names as its bases.
        about: what it says about itself, or None.
        values: its own settings, checked by name.
    """

    path: Path
    bases: tuple[Path, ...]
    about: About | None
    values: dict[str, Any]


def read_settings_file(path: Path) -> SettingsFile:
    """Read one settings file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no YAML, holds no settings, or one that does not exist.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such settings file')
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = ' '.join(str(error).replace('in "<unicode string>", ', 'at ').split())
        raise ValueError(f'{path}: no settings file (YAML text): {reason}') from error
    if not isinstance(values, Mapping):
        raise ValueError(f'{path}: holds no settings; copy config/train/robot.yaml and edit it')
    values = dict(values)
    bases = _bases(values.pop('base', None), path)
    about = _about(values.pop('about', None), path)
    check_names(values, str(path))
    return SettingsFile(path, bases, about, values)


def resolve_settings(path: Path) -> dict[str, Any]:
    """The settings of a file with those of its bases; neither `base` nor `about` is among them.

    Raises:
        FileNotFoundError: the file or a base does not exist.
        ValueError: see `read_settings_file`; or a file is its own base, or reached twice.
    """
    return _resolve(path, (), set())


def merge_settings(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ''
) -> dict[str, Any]:
    """Lay settings over others: groups key by key, anything else replaced.

    Args:
        old: nested settings.
        new: nested settings that win.
        prefix: dotted name of the group that both belong to, with a dot at its end.
    """
    merged = dict(old)
    for key, value in new.items():
        name, before = f'{prefix}{key}', merged.get(key)
        if name in _groups() and isinstance(value, Mapping) and isinstance(before, Mapping):
            value = merge_settings(before, value, f'{name}.')
        merged[key] = value
    return merged


def _resolve(path: Path, trail: tuple[Path, ...], seen: set[Path]) -> dict[str, Any]:
    real = path.resolve()
    if real in trail:
        names = ' → '.join(file.name for file in (*trail[trail.index(real) :], real))
        raise ValueError(f'{path}: is its own base ({names}); remove one base: line of these')
    if real in seen:
        # Its settings would win over the differences of the file that brought it in first.
        raise ValueError(f'{path}: is a base twice over in {trail[0]}; name it once')
    seen.add(real)
    file = read_settings_file(path)
    values: dict[str, Any] = {}
    for base in file.bases:
        if not base.is_file():
            raise FileNotFoundError(
                f'{path}: there is no base {base}; it is looked for from the folder of the file '
                'that names it'
            )
        values = merge_settings(values, _resolve(base, (*trail, real), seen))
    values.pop('output', None)
    return merge_settings(values, file.values)


def _bases(value: object, path: Path) -> tuple[Path, ...]:
    names = [] if value is None else value if isinstance(value, list) else [value]
    texts = [name for name in names if isinstance(name, str) and name]
    if len(texts) < len(names):
        raise ValueError(f'{path}: base is {value!r}, expected the path of a settings file')
    return tuple((path.parent / Path(name).expanduser()).resolve() for name in texts)


def _about(value: object, path: Path) -> About | None:
    if value is None:
        return None
    known = [field.name for field in dataclasses.fields(About)]
    if not isinstance(value, Mapping) or 'shows' not in value:
        raise ValueError(f'{path}: about must hold shows, and may hold {", ".join(known[1:])}')
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0)
            raise ValueError(f'{path}: there is no about.{key}; did you mean about.{near[0]}?')
    try:
        return About(**value)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


@lru_cache(maxsize=1)
def _groups() -> frozenset[str]:
    return frozenset(name.rpartition('.')[0] for name in setting_names()) - {''}
