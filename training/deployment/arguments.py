"""The settings of inference as arguments of a command."""

from __future__ import annotations

from dataclasses import fields

from jsonargparse import ArgumentParser, Namespace

from hrda_core.inference import InferenceSettings

LIMITS = ('threshold', 'budget', 'deadline_ms')


def add_inference_arguments(parser: ArgumentParser) -> None:
    """Declare --device, --precision, --mode and all else that `InferenceSettings` has."""
    parser.add_class_arguments(InferenceSettings)


def inference_settings(args: Namespace) -> InferenceSettings:
    """The settings that were given.

    Raises:
        ValueError: a value is outside its range, or a limit has no effect in this mode.
    """
    given = [name for name in LIMITS if args[name] is not None]
    if args.mode == 'exact' and given:
        raise ValueError(f'--{given[0]} has no effect in mode exact; add --mode=anytime')
    return InferenceSettings(
        **{field.name: args[field.name] for field in fields(InferenceSettings)}
    )
