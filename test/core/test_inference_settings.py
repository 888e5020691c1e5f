"""How a network is run, as it is written: weights of classes, windows and their scores."""

from __future__ import annotations

from typing import get_args

import pytest

from hrda_core.inference import InferenceSettings, parse_class_weights
from hrda_core.selection import SCORES, ScoreName


@pytest.mark.parametrize(
    'text',
    [
        ' person=4, traffic sign = 2.5,',
        '{person: 4, traffic sign: 2.5}',
        '{"person": 4, "traffic sign": 2.5}',
        'person: 4, traffic sign: 2.5',
    ],
)
def test_class_weights_are_read_as_the_node_and_as_yaml_write_them(text: str) -> None:
    assert parse_class_weights(text) == {'person': 4.0, 'traffic sign': 2.5}


@pytest.mark.parametrize('text', ['', ' ', '{}'])
def test_no_class_weights_are_none(text: str) -> None:
    assert parse_class_weights(text) == {}


@pytest.mark.parametrize('text', ['person', 'person=much', '=3=x', '=3', '{person: 4', 'a=1=2'])
def test_what_is_no_weight_is_named(text: str) -> None:
    with pytest.raises(ValueError, match='is not NAME=NUMBER'):
        parse_class_weights(text)


def test_every_score_can_be_named() -> None:
    assert get_args(ScoreName) == tuple(SCORES)


def test_windows_larger_than_any_image_are_refused() -> None:
    with pytest.raises(ValueError, match='window_size 16384 is larger than any image'):
        InferenceSettings(window_size=16384)
