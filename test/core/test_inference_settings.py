"""How a network is run, as it is written: weights of classes."""

from __future__ import annotations

import pytest

from hrda_core.inference import parse_class_weights


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
