"""Checks of parameter values, without ROS."""

from __future__ import annotations

from typing import Any

import pytest

from hrda_ros.settings import SETTINGS, Settings, coerce, describe, nearest


def test_defaults_pass_their_own_checks() -> None:
    values = {name: coerce(name, item.default) for name, item in SETTINGS.items()}
    assert Settings(**values) == Settings()


def test_an_integer_is_taken_for_a_number() -> None:
    value = coerce('overlay_alpha', 1)
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('overlay_alpha', 1.5, r'overlay_alpha must lie in 0..1, not 1.5'),
        ('overlay_alpha', float('nan'), r'overlay_alpha must lie in 0..1, not nan'),
        ('overlay_alpha', True, r'overlay_alpha must be a number, not True'),
        ('max_rate', -1, r'max_rate must lie in 0..1000, not -1'),
        ('enabled', 1, r'enabled must be true or false, not 1'),
        ('checkpoint', None, r'checkpoint must be a text, not None'),
        ('image_transport', 'theora', r'one of raw, compressed, not .theora.'),
        ('cameras', 3, r'cameras must be a list of texts such as .front, rear., not 3'),
        ('cameras', ['front', ''], r"cameras: '' cannot be part of a topic"),
        ('cameras', ['front/left'], r"cameras: 'front/left' cannot be part of a topic"),
        ('cameras', 'a, a', r'cameras must differ in their names, not a, a'),
        ('precision', 'int8', r'one of auto, fp32, bf16, fp16, not .int8.'),
    ],
)
def test_a_refused_value_is_named_with_the_reason(name: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        coerce(name, value)


@pytest.mark.parametrize(
    ('value', 'names'),
    [
        (['front', 'rear'], ('front', 'rear')),
        ('front, rear', ('front', 'rear')),
        ('', ('',)),
        ([], ('',)),
        ([''], ('',)),
    ],
)
def test_cameras_are_a_list_or_a_text_with_commas(value: Any, names: tuple[str, ...]) -> None:
    assert coerce('cameras', value) == names


def test_a_misspelt_name_finds_its_neighbour() -> None:
    assert nearest('chekpoint') == ' (did you mean checkpoint?)'
    assert nearest('zzz') == ''


def test_help_lists_every_parameter() -> None:
    assert all(f'  {name} ' in describe() for name in SETTINGS)
