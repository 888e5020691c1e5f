"""The `hrda` command: hrda COMMAND ...; a command's module is imported only when it is used."""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from training.complaints import sentence

COMMANDS = {
    'extract': ('training.extraction.command', 'take images out of ROS bags, to train on'),
    'make-bag': (
        'training.bags.make_bag',
        'write image files into a rosbag2 bag, as a camera would',
    ),
    'segment-bag': (
        'training.bag_segmentation.command',
        'label every image of rosbag2 bags: bags in, bags out',
    ),
    'doctor': ('training.doctor.command', 'look at data, settings and machine before a training'),
    'train': ('training.run.command', 'train a network: source-only or self-training with HRDA'),
    'bench': ('training.benchmark.command', 'measure speed and memory on this machine'),
    'distill': (
        'training.run.distill',
        'teach a small network what a trained one says of the camera',
    ),
    'experiments': (
        'training.settings.experiments',
        'list the settings of published rows, or show one',
    ),
    'eval': ('training.evaluation.command', 'score a checkpoint against labelled images'),
    'compare': (
        'training.comparison.command',
        'put training runs side by side: scores, settings, plots',
    ),
    'predict': (
        'training.deployment.predict',
        'label images and videos: ids, confidence, overlays',
    ),
    'view': ('training.view.command', 'watch a network at work on a recording, in a browser'),
    'calibrate': (
        'training.evaluation.calibrate',
        'make the confidence honest on labelled frames',
    ),
    'tune-windows': (
        'training.deployment.tune_windows',
        'find out how few detail windows are enough',
    ),
    'domain-shift': (
        'training.deployment.domain_shift',
        'tell how far images are from those of training',
    ),
    'export': (
        'training.deployment.export',
        'write a network as ONNX files, for onnxruntime and TensorRT',
    ),
    'import': (
        'training.deployment.import_checkpoint',
        'turn a published checkpoint into one of ours',
    ),
}
"""Command name -> module with `add_arguments` and `run`, and its one-line help."""
INTERRUPTED = 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where a disk, somebody's share of it, or a file can hold no more."""


class CommandParser(ArgumentParser):
    """An argument parser whose complaints are ValueErrors of one sentence.

    Attributes:
        not_settings: arguments that `--print_config` leaves out.
        optional_groups: names and dataclasses of settings that may be null, which jsonargparse
            would keep from the help.
    """

    not_settings: tuple[str, ...] = ()
    optional_groups: Mapping[str, type] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # '--every -1s' is a wrong value of --every, which the command tells, and no option '-1s'.
        self._negative_number_matcher = re.compile(r'-\.?\d')

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: D102
        text = ' '.join(message.split()).removeprefix('Parser key "config": ')
        # Groups of settings have parsers of their own, whose complaints the outer one quotes.
        raise ValueError(sentence(text, self) if self.exit_on_error else text) from ex

    def format_help(self, *args: Any, **kwargs: Any) -> str:  # noqa: D102
        text = str(super().format_help(*args, **kwargs))
        for name, settings_type in self.optional_groups.items():
            group = ArgumentParser(usage='', add_help=False)
            group.add_class_arguments(settings_type, name)
            text += f'\n{group.format_help().partition("usage:")[2].lstrip()}'
        return text

    def dump(self, cfg: Namespace, *args: Any, **kwargs: Any) -> str:  # noqa: D102
        cfg = cfg.clone()
        for name in self.not_settings:
            cfg.pop(name, None)
        return str(super().dump(cfg, *args, **kwargs))


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments after the program name; None takes them from the process.

    Returns:
        Exit code: 0 done, 1 an error that stands in one sentence on stderr, 130 interrupted.
    """
    # Else MKL, by which torch multiplies matrices, has its threads add in another order each time.
    os.environ.setdefault('MKL_CBWR', 'AUTO,STRICT')
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ('-h', '--help'):
        print(overview())
        return 0
    try:
        return _run_command(arguments[0], arguments[1:])
    except BrokenPipeError:
        # The reader (head, less) has left; the interpreter must not fail again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _complain(arguments[0], 'interrupted', INTERRUPTED)
    except ModuleNotFoundError as error:
        return _complain(arguments[0], _missing_module(error))
    except (ValueError, KeyError, OSError) as error:
        return _complain(arguments[0], _sentence(error))
    except MemoryError as error:
        return _complain(arguments[0], f'out of memory: {_sentence(error)}')


def overview() -> str:
    """What `hrda --help` prints."""
    width = max(map(len, COMMANDS))
    rows = [f'  {name:<{width}}  {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: hrda COMMAND ...',
            '',
            'From a labelled simulator and an unlabelled camera to a network for that camera.',
            '',
            *rows,
            '',
            'hrda COMMAND --help tells more.',
        ]
    )


def _run_command(name: str, argv: list[str]) -> int:
    if name not in COMMANDS:
        raise ValueError(f'no such command; there are: {", ".join(COMMANDS)}')
    module = importlib.import_module(COMMANDS[name][0])
    parser = CommandParser(
        prog=f'hrda {name}', description=_first_paragraph(module), allow_abbrev=False
    )
    module.add_arguments(parser)
    prepare: Callable[[list[str]], list[str]] = getattr(module, 'prepare_argv', list)
    # Settings arrive at `run` as the dataclasses they belong to.
    return int(module.run(_instantiate(parser, parser.parse_args(prepare(argv)))))


def _instantiate(parser: CommandParser, parsed: Namespace) -> Namespace:
    try:
        made: Namespace = parser.instantiate(parsed)
    except ValueError as error:
        raise ValueError(sentence(' '.join(str(error).split()), parser)) from error
    return made


def _first_paragraph(module: ModuleType) -> str:
    return (module.__doc__ or '').split('\n\n')[0].strip()


def _sentence(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f'no entry {error}'
    if isinstance(error, OSError) and error.strerror:
        text = f'{error.filename}: {error.strerror}' if error.filename else error.strerror
        if error.errno not in NO_ROOM:
            return text
        from training.whole_files import MAKE_ROOM  # with numpy, for which --help need not wait

        return f'{text}; {MAKE_ROOM}'
    return str(error) or type(error).__name__


def _missing_module(error: ModuleNotFoundError) -> str:
    package = (error.name or '').split('.')[0]
    if package in ('hrda_core', 'hrda_ros', 'training'):
        return f'this installation lacks {error.name}; install the project again'
    return (
        f'needs the Python package {package}, which is not installed here; '
        'use the project\'s virtual environment, or: pip install "hrda_ros[training]"'
    )


def _complain(command: str, text: str, code: int = 1) -> int:
    print(f'hrda {command}: {text}', file=sys.stderr)
    return code


if __name__ == '__main__':
    sys.exit(main())
