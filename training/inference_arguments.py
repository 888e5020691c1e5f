"""The settings of inference as arguments of a command."""

from __future__ import annotations

from dataclasses import fields

from jsonargparse import ArgumentParser, Namespace

from hrda_core.inference import InferenceSettings


def add_inference_arguments(parser: ArgumentParser) -> None:
    """Declare --device, --precision, --mode and all else that `InferenceSettings` has."""
    parser.add_class_arguments(InferenceSettings)


def inference_settings(args: Namespace) -> InferenceSettings:
    """The settings that were given.

    Raises:
        ValueError: a value is outside its range.
    """
    return InferenceSettings(
        **{field.name: args[field.name] for field in fields(InferenceSettings)}
    )
