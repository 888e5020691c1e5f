"""Teach a small network what a trained one says of unlabelled camera frames.

Usage: hrda distill TEACHER.safetensors CONFIG.yaml [--any.setting=value]
       hrda distill --resume RUN
"""

from __future__ import annotations

from training import train
from training.cli import CommandParser

run = train.run


def add_arguments(parser: CommandParser) -> None:
    """Declare the arguments of `hrda distill`: those of `hrda train`, and the teacher."""
    train.add_arguments(parser)
    parser.usage = (
        'hrda distill TEACHER.safetensors CONFIG.yaml [--any.setting=VALUE ...] | '
        'hrda distill --resume RUN'
    )


def prepare_argv(argv: list[str]) -> list[str]:
    """Turn the teacher into a setting, and the rest as `hrda train` does.

    Raises:
        ValueError: no teacher is named, or a setting does not exist.
        FileNotFoundError: no such settings file, or its base is missing.
    """
    options = {argument.partition('=')[0] for argument in argv}
    if options & {'--resume', '-h', '--help'} or any(o.endswith('.help') for o in options):
        return train.prepare_argv(argv)
    named = argv[:2] if '--config' in argv[1:2] else [a for a in argv[:2] if a[:1] != '-']
    if len(named) < 2:
        raise ValueError(
            'name a checkpoint and a settings file, such as: hrda distill '
            'runs/big/model.safetensors config/train/distill.yaml'
        )
    teacher = ['--method=distillation', f'--distillation.teacher={argv[0]}']
    return train.prepare_argv([*argv[1:], *teacher])
