"""Parameters of the node become settings of inference, without ROS."""

from __future__ import annotations

import pytest

from hrda_core.inference import InferenceSettings
from hrda_ros.inference import inference_settings, parse_class_weights
from hrda_ros.settings import Settings


def test_the_defaults_of_the_node_are_those_of_the_segmenter() -> None:
    assert inference_settings(Settings()) == InferenceSettings()


def test_limits_are_passed_on() -> None:
    found = inference_settings(
        Settings(mode='anytime', threshold=0.1, budget=0, deadline_ms=80.0, ageing=0.5)
    )
    assert (found.mode, found.threshold, found.budget) == ('anytime', 0.1, 0)
    assert (found.deadline_ms, found.ageing) == (80.0, 0.5)


def test_class_weights_may_have_spaces_in_their_names() -> None:
    assert parse_class_weights(' person=4, traffic sign = 2.5,') == {
        'person': 4.0,
        'traffic sign': 2.5,
    }


@pytest.mark.parametrize('text', ['person', 'person=much', '=3=x'])
def test_what_is_no_weight_is_named(text: str) -> None:
    with pytest.raises(ValueError, match='is not NAME=NUMBER'):
        parse_class_weights(text)
