"""Flags of inference: what makes no sense together is said."""

from __future__ import annotations

import pytest

from hrda_core.inference import InferenceSettings
from training.cli import CommandParser
from training.deployment.arguments import add_inference_arguments, inference_settings


def parse(*flags: str):
    parser = CommandParser()
    add_inference_arguments(parser)
    return inference_settings(parser.parse_args(list(flags)))


def test_limits_of_mode_anytime_are_taken():
    assert parse('--mode=anytime', '--budget=2').budget == 2


@pytest.mark.parametrize(
    'flag', ['--budget=2', '--threshold=0.1', '--deadline_ms=50', '--class_weights=car=2']
)
def test_limits_are_refused_in_mode_exact(flag):
    with pytest.raises(ValueError, match='has no effect in mode exact; add --mode=anytime'):
        parse(flag)


def test_what_a_command_has_no_use_for_is_not_offered():
    parser = CommandParser()
    add_inference_arguments(parser, without=('mode', 'threshold', 'budget', 'deadline_ms'))
    found = inference_settings(parser.parse_args(['--window_size=64']))
    assert found == InferenceSettings(window_size=64)
    assert '--threshold' not in parser.format_help()


@pytest.mark.parametrize('text', ['person=4, rider=2', '{person: 4, rider: 2}'])
def test_class_weights_are_written_as_for_the_node_or_as_yaml(text):
    found = parse('--mode=anytime', f'--class_weights={text}')
    assert found.class_weights == {'person': 4.0, 'rider': 2.0}


def test_class_weights_that_are_none_are_named():
    with pytest.raises(ValueError, match="'person=much' is not NAME=NUMBER"):
        parse('--class_weights=person=much')
