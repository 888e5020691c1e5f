"""Settings as `hrda train` parses them."""

from __future__ import annotations

from jsonargparse import Namespace

from training.cli import CommandParser
from training.run import command as train
from training.settings.run import TrainSettings


def parse(argv: list[str]) -> TrainSettings:
    """The settings that `hrda train ARGV` would run with."""
    parser = CommandParser(prog='hrda train', allow_abbrev=False)
    train.add_arguments(parser)
    args: Namespace = parser.instantiate(parser.parse_args(train.prepare_argv(argv)))
    return train.settings_of(args)
