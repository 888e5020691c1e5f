"""Look at everything a training depends on, before it starts: data, classes, scale, machine.

Usage: hrda doctor CONFIG.yaml [--any.setting=value] [--report DIR] [--quick] [--no-time]

It takes the same settings as hrda train, so a training's command line can be tried with `doctor`
in the place of `train`; --output stays the run's folder, and nothing is written into it. Tables
and findings are printed; doctor.json, contact_sheet.png and report.html go to --report, which is
OUTPUT.doctor if it is not said. The exit code is 1 where an error was found that keeps the
training from starting or makes its scores worthless, else 0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from jsonargparse import Namespace

from training.cli import CommandParser
from training.progress import displayed
from training.run import command as train
from training.settings.plain import absolute

DOCTOR_ONLY = ('report', 'quick', 'no_time', 'no-time')
"""Arguments that say what to look at and are no settings of a run, in all spellings."""

prepare_argv = partial(train.prepare_argv, others=DOCTOR_ONLY)


def add_arguments(parser: CommandParser) -> None:
    """Declare the arguments of `hrda doctor`."""
    parser.usage = 'hrda doctor CONFIG.yaml [--any.setting=VALUE ...] [--report DIR] [--quick]'
    parser.add_argument(
        '--report', metavar='DIR', help='folder of the report (default: OUTPUT.doctor)'
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='read the headers of files alone: no histogram, no search for repeated frames',
    )
    parser.add_argument(
        '--no-time', action='store_true', help='take no steps to time them (at most a minute)'
    )
    train.add_settings(parser, DOCTOR_ONLY)


def run(args: Namespace) -> int:
    """Examine, print and write the report; 1 where an error was found, else 0."""
    from training.doctor.examination import examine
    from training.doctor.report import make_console, print_report, write_report
    from training.whole_files import check_writable

    settings = absolute(train.settings_of(args))
    folder = Path(args.report or f'{settings.output}.doctor')
    check_writable(folder, folder=True)
    with displayed() as display:
        diagnosis = examine(settings, display, quick=args.quick, timed=not args.no_time)
    console = make_console()
    print_report(diagnosis, console)
    write_report(diagnosis, folder, console)
    print(f'report: {folder}')
    return 1 if diagnosis.findings.count('error') else 0
