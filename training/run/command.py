"""Train a network: on the simulator alone, or adapted to the camera by self-training.

Usage: hrda train CONFIG.yaml [--any.setting=value], hrda train --resume RUN; CONFIG.yaml may also
be the name of an experiment that comes with the project, see hrda experiments.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml
from jsonargparse import Namespace

from training.cli import CommandParser
from training.progress import Display, SilentDisplay, displayed
from training.run.folder import RunFolder
from training.settings.files import merge_settings, resolve_settings
from training.settings.names import differences, optional_groups, setting_names, unknown_name
from training.settings.plain import absolute, to_dict, to_yaml
from training.settings.run import ModelSettings, TrainSettings
from training.shipped import find_settings

if TYPE_CHECKING:
    from training.run.launch import Workplace

FIXED = ('model', 'classes', 'method', 'loop.seed')
"""Settings that a resumed run cannot change; the weights or the random draws hang on them."""
RUN_ONLY = ('resume', 'overwrite', 'fit')
"""Arguments that say what to do and are no settings of the run."""


def add_arguments(parser: CommandParser) -> None:
    """Declare the arguments of `hrda train`."""
    parser.usage = 'hrda train CONFIG.yaml [--any.setting=VALUE ...] | hrda train --resume RUN'
    parser.add_argument('--resume', metavar='RUN', help='go on with the run in this folder')
    parser.add_argument(
        '--overwrite', action='store_true', help='delete the run in the output folder first'
    )
    parser.add_argument(
        '--fit',
        metavar='SIZE',
        help='choose the least costly settings that fit into this memory, such as 12GB, or into '
        "what the device has free (auto); they go into the run's config",
    )
    add_settings(parser, RUN_ONLY)


def add_settings(parser: CommandParser, others: tuple[str, ...]) -> None:
    """Declare the settings of a run.

    Args:
        parser: of a command that takes them.
        others: the command's arguments that are no settings.
    """
    parser.add_argument('--config', action='config', help='settings file; also as first argument')
    parser.not_settings = others
    parser.optional_groups = optional_groups()
    parser.add_class_arguments(TrainSettings, nested_key=None)


def prepare_argv(argv: list[str], others: Sequence[str] = RUN_ONLY) -> list[str]:
    """Turn `CONFIG` and `--resume RUN` into settings files, and refuse unknown settings.

    Args:
        argv: the arguments after the command's name.
        others: the command's arguments that are no settings.

    Raises:
        ValueError: a setting does not exist; the nearest one is named.
        FileNotFoundError: no such settings file, or its base is missing.
    """
    arguments = list(argv)
    if not arguments:
        raise ValueError('name a settings file, such as config/train/robot.yaml; see --help')
    if arguments and not arguments[0].startswith('-'):
        arguments.insert(0, '--config')
    run = _value_of(arguments, '--resume')
    if run is not None:
        folder = RunFolder(run)
        folder.read_config()
        arguments = ['--config', str(folder.config), *arguments, f'--output={folder.path}']
    _check_argument_names(arguments, others)
    return _with_resolved_files(arguments)


def _with_resolved_files(arguments: Sequence[str]) -> list[str]:
    """The arguments with the settings of each `--config`, bases and all, in the file's place."""
    resolved: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        option, equals, name = argument.partition('=')
        if option != '--config':
            resolved.append(argument)
            continue
        path = find_settings(name if equals else next(remaining, ''))
        values = resolve_settings(path)
        if not any(given.startswith('--config=') for given in resolved):
            values.setdefault('output', f'runs/{path.stem}')
        # The parser takes a file's text as well as its name.
        resolved.append(f'--config={yaml.safe_dump(values, sort_keys=False)}')
    return resolved


def _value_of(arguments: Sequence[str], option: str) -> str | None:
    values = [a.partition('=')[2] for a in arguments if a.startswith(f'{option}=')]
    values += [value for name, value in itertools.pairwise(arguments) if name == option]
    return values[-1] if values else None


def _check_argument_names(arguments: Sequence[str], others: Sequence[str]) -> None:
    known = {*setting_names(), *others, 'config', 'print_config', 'help'}
    for argument in arguments:
        match = re.match(r'--([\w.-]+)', argument)
        if match and match[1] not in known and not match[1].endswith('.help'):
            raise ValueError(unknown_name(match[1]))


def run(args: Namespace) -> int:
    """Train; 0 also after SIGINT or SIGTERM, with the state saved."""
    from training.run.processes import OtherProcessFailed

    resume, overwrite = args.resume is not None, args.overwrite
    settings = settings_of(args)
    with displayed() as display:
        if args.fit is not None:
            settings = _fitted(settings, args.fit, resume, display)
        try:
            train(settings, display, resume=resume, overwrite=overwrite)
        except OtherProcessFailed as error:
            # The one that failed says why; of the others only the first repeats it.
            if error.rank == 0:
                raise
            return 1
    return 0


def _fitted(settings: TrainSettings, size: str, resumed: bool, display: Display) -> TrainSettings:
    from training.memory.fit import fit

    fitted = fit(settings, size, resumed=resumed)
    what = f'takes {" ".join(fitted.changes)}' if fitted.changes else 'changes nothing'
    display.say(f'--fit {size} {what}: the run needs {fitted.needed}')
    return fitted.settings


def settings_of(args: Namespace) -> TrainSettings:
    """The settings among the parsed arguments of a command."""
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    return TrainSettings(**{name: getattr(args, name) for name in names})


def train(
    settings: TrainSettings, display: Display, *, resume: bool = False, overwrite: bool = False
) -> bool:
    """Run a training from its settings to its last step.

    Args:
        settings: everything it depends on.
        display: where progress is shown.
        resume: go on with the run in `settings.output`.
        overwrite: delete the run in `settings.output` first.

    Returns:
        Whether the last step is done; False after SIGINT or SIGTERM.

    Raises:
        ValueError: settings that cannot be, an output folder that is in use, a loss that is no
            number.
        FileNotFoundError: data that is not there.
    """
    from training.run.launch import find_workplace

    settings = absolute(settings)
    workplace = find_workplace(settings.loop)
    if not workplace.processes.first:
        display = SilentDisplay()
    with workplace.processes.together():
        if len(set(workplace.processes.gather(to_yaml(settings)))) > 1:
            raise ValueError(
                'the processes of this run have different settings; where --fit auto found '
                'devices with unlike free memory, name a size instead'
            )
        return _train(settings, display, workplace, resume=resume, overwrite=overwrite)


def _train(
    settings: TrainSettings,
    display: Display,
    workplace: Workplace,
    *,
    resume: bool,
    overwrite: bool,
) -> bool:
    from training.deployment.domain import remember_training
    from training.run.assembly import assemble

    folder = RunFolder(settings.output)
    changed = _changes(folder, settings) if resume else []
    with workplace.processes.first_before_others():
        if workplace.processes.first:
            if not resume:
                folder.check_free(overwrite)
            if folder.is_run():
                folder.claim()
        # Data and networks can be refused, so the folder is not touched before.
        fresh = not (resume and folder.state.is_file())
        parts = assemble(settings, display, workplace, fresh=fresh)
        if workplace.processes.first and overwrite and not resume:
            folder.remove()
    loop = parts.loop(folder, display)
    # Settings that do not fit the saved state must not replace those that do.
    loop.resume()
    if workplace.processes.first:
        folder.start(to_yaml(settings))
        folder.claim()
    for text in parts.introduction:
        loop.reporter.say(text)
    if resume:
        loop.reporter.say(f'going on after step {loop.done}' + _with_changes(changed))
    finished = loop.run()
    if finished:
        loop.reporter.say(f'finished {loop.done} steps: {folder.model}')
        if workplace.processes.first:
            written = (folder.model, folder.teacher, folder.best)
            loop.reporter.say(remember_training(settings, written, display))
    return finished


def _changes(folder: RunFolder, settings: TrainSettings) -> list[str]:
    """Settings that differ from those of a run; ValueError for one that must not."""
    # A run of an older version does not know the settings that came later.
    known = merge_settings({'model': dataclasses.asdict(ModelSettings())}, folder.read_config())
    changed = differences(known, to_dict(settings))
    changed = [name for name in changed if name != 'output']
    for name in changed:
        if any(name == fixed or name.startswith(f'{fixed}.') for fixed in FIXED):
            raise ValueError(
                f'{name} cannot be changed in the run {folder.path}; start a new run for that'
            )
    return changed


def _with_changes(changed: list[str]) -> str:
    return f', with changed settings: {", ".join(changed)}' if changed else ''
