"""Teach a small network what a trained one says of unlabelled camera frames.

Usage: hrda distill TEACHER.safetensors CONFIG.yaml [--fast-head] [--any.setting=value]
       hrda distill --resume RUN
"""

from __future__ import annotations

import dataclasses
import json

from training.cli import CommandParser
from training.run import command as train

FAST_HEAD = '--fast-head'

run = train.run


def add_arguments(parser: CommandParser) -> None:
    """Declare the arguments of `hrda distill`: those of `hrda train`, and the teacher."""
    train.add_arguments(parser)
    parser.usage = (
        'hrda distill TEACHER.safetensors CONFIG.yaml [--fast-head] [--any.setting=VALUE ...] | '
        'hrda distill --resume RUN'
    )
    parser.add_argument(
        FAST_HEAD,
        action='store_true',
        help="the student is the teacher's network with the head daformer_fast, which alone is "
        "taught; --distillation.head_only=false teaches all of it, from the teacher's weights",
    )
    parser.not_settings = (*parser.not_settings, 'fast_head')


def prepare_argv(argv: list[str]) -> list[str]:
    """Turn the teacher and --fast-head into settings, and the rest as `hrda train` does.

    Raises:
        ValueError: no teacher is named, it cannot be used, or a setting does not exist.
        FileNotFoundError: no such settings file, or its base is missing.
    """
    twin, argv = FAST_HEAD in argv, [argument for argument in argv if argument != FAST_HEAD]
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
    if twin:
        # Before the settings that were given one by one, which win.
        begin = 3 if argv[1] == '--config' else 2
        argv = [*argv[:begin], *_twin(argv[0]), *argv[begin:]]
    return train.prepare_argv([*argv[1:], *teacher])


def _twin(teacher: str) -> list[str]:
    """The settings that teach the fast head, on the teacher's network and weights, alone."""
    from hrda_core.checkpoints import load_model

    architecture = load_model(teacher).architecture
    if architecture.head != 'daformer':
        raise ValueError(
            f'{teacher} has the head {architecture.head}; {FAST_HEAD} stands in for daformer alone'
        )
    values = dataclasses.asdict(architecture) | {
        'head': 'daformer_fast',
        'encoder_weights': None,
        'pretrained': False,
        'start_from': teacher,
        'start_from_match': 'fitting',
    }
    texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in values.items()}
    network = [f'--model.{name}={text}' for name, text in texts.items()]
    return [*network, '--distillation.head_only=true']
