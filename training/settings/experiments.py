"""List the experiments that come with the project, or show one: its settings and its command.

Usage: hrda experiments [NAME]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from training.cli import CommandParser
from training.settings.files import About, SettingsFile, read_settings_file, resolve_settings
from training.settings.names import differences
from training.shipped import shipped_experiment, shipped_files

GROUPS = {
    'Table 1': 'to Cityscapes, MiT-B5',
    'Table 2': 'HRDA on other methods, GTA5 to Cityscapes',
    'Figure 4, left': 'crops of one resolution, GTA5 to Cityscapes',
    'Figure 4, right': 'crops of one resolution, trained on labelled Cityscapes',
    'Table 3': 'context size, with detail crops of 512 px',
    'Table 4': 'detail size, with context crops of 1024 px',
    'Table 5': 'two resolutions against one high resolution',
    'Table 6': 'what the detail crop brings',
    'Table 7': 'the parts of HRDA',
    'Figure S1': 'weight of the detail loss',
    'Table S1': 'context scale, with context crops of 512 px',
    'Clear to adverse': 'Cityscapes to night, fog, rain and snow',
    'MIC': 'masked image consistency on HRDA',
}
"""Tables and figures of the HRDA paper and its supplement, and what follows them, in order."""
OWN = 'Your own data'
LEGEND = (
    'mIoU [%] as published, mean over seeds; ~ = from memory, check it before you cite it; '
    '- = not quoted.',
    'hrda experiments NAME shows one and where its number stands; hrda train NAME runs it.',
)


def add_arguments(parser: CommandParser) -> None:
    """Declare the arguments of `hrda experiments`."""
    parser.add_argument('name', nargs='?', help='the experiment to show; all are listed without')


def run(args: Namespace) -> int:
    """Print the list or one experiment; 0."""
    lines = overview() if args.name is None else describe(args.name)
    print('\n'.join(lines))
    return 0


def overview() -> Iterator[str]:
    """Lines that list every experiment by table."""
    abouts = {name: _about(read_settings_file(path)) for name, path in shipped_files().items()}
    width = max(map(len, abouts))
    for group, title in GROUPS.items():
        rows = {name: told.paper[group] for name, told in abouts.items() if group in told.paper}
        yield f'{group}: {title}'
        # Rows made for a table first, then those that it shares with others.
        for name in sorted(rows, key=lambda name: (next(iter(abouts[name].paper)) != group, name)):
            yield f'  {name:<{width}}  {published(abouts[name]):>5}  {rows[name]}'
        yield ''
    yield OWN
    for name, told in abouts.items():
        if not told.paper:
            yield f'  {name:<{width}}  {"":>5}  {told.shows}'
    yield ''
    yield from LEGEND


def describe(name: str) -> Iterator[str]:
    """Lines about one experiment: what it shows, in what it differs, how it is run.

    Raises:
        FileNotFoundError: no experiment of this name comes with the project.
    """
    file = read_settings_file(shipped_experiment(name))
    told = _about(file)
    yield f'{name}: {told.shows}'
    for table, row in told.paper.items():
        yield f'  {table} ({GROUPS.get(table, OWN)}): {row}'
    if told.paper:
        stands = f'{published(told)} mIoU, {told.source}' if told.published else 'not quoted'
        yield f'published: {stands}'
    if told.deviates:
        yield f'differs from the publication: {told.deviates}'
    yield f'settings: {file.path}'
    if file.bases:
        yield from _changes(file)
    yield f'command: hrda train {name}'
    if told.paper:
        yield f'another seed: hrda train {name} --loop.seed=2 --output=runs/{name}_2'


def published(told: About) -> str:
    """The published number as text: 73.8, ~68.5 from memory, or - where none is quoted."""
    if told.published is None:
        return '-'
    return f'{"~" if told.from_memory else ""}{told.published:.1f}'


def _about(file: SettingsFile) -> About:
    return file.about or About(shows='')


def _changes(file: SettingsFile) -> Iterator[str]:
    """What differs from the first base, all other bases included."""
    base, own = resolve_settings(file.bases[0]), resolve_settings(file.path)
    yield f'differences to {file.bases[0].name}:'
    names = [name for name in differences(base, own) if name != 'output']
    width = max(map(len, names), default=0)
    for name in names:
        before, now = _look_up(base, name), _look_up(own, name)
        instead = '' if before is None else f'   instead of {_shown(before)}'
        yield f'  {name:<{width}}  {_shown(now)}{instead}'


def _look_up(values: Mapping[str, Any], dotted: str) -> Any:
    found: Any = values
    for key in dotted.split('.'):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return '{' + ', '.join(f'{key}: {_shown(entry)}' for key, entry in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ', '.join(map(_shown, value)) + ']'
    if value is None:
        return 'null'
    return str(value).lower() if isinstance(value, bool) else str(value)
