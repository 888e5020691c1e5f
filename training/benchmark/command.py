"""Measure speed and memory on this machine: hrda bench WHAT.

Usage: hrda bench train [--encoder=mit_b5] [--context=1024] [--detail=512] [--precision=bf16]
       hrda bench inference [--checkpoint X.safetensors] [--size=1920x1080] [--json FILE]
       hrda bench models [--encoders mit_b0 tiny_vit_5m_224] [--size=1280x720] [--csv FILE]
       hrda bench anytime X.safetensors --images DIR [--labels DIR] [-o FOLDER]
       hrda bench bags [--size=1920x1080] [--frames=300] [--json FILE]
       hrda bench node --ros-python PYTHON [--checkpoint X.safetensors] [--minutes 5]
"""

from __future__ import annotations

import importlib

from jsonargparse import Namespace

from training.cli import CommandParser

BENCHMARKS = {
    'train': 'training.benchmark.training_step',
    'inference': 'training.benchmark.inference',
    'models': 'training.benchmark.models',
    'anytime': 'training.benchmark.anytime',
    'bags': 'training.benchmark.bags',
    'node': 'training.benchmark.node',
}
"""What can be measured -> module with `add_arguments` and `run`, which is its help as well."""


def add_arguments(parser: CommandParser) -> None:
    """Declare what can be measured, each with its own arguments."""
    words = parser.add_subcommands(dest='what')
    for name, module in BENCHMARKS.items():
        measured = importlib.import_module(module)
        summary = str(measured.__doc__).partition('\n')[0]
        own = CommandParser(prog=f'hrda bench {name}', description=summary, allow_abbrev=False)
        measured.add_arguments(own)
        words.add_subcommand(name, own, help=summary)


def run(args: Namespace) -> int:
    """Measure, print a table and write a JSON file."""
    return int(importlib.import_module(BENCHMARKS[args.what]).run(args[args.what]))
