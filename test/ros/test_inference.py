"""Parameters of the node become settings of inference, without ROS."""

from __future__ import annotations

from hrda_core.inference import InferenceSettings
from hrda_ros.inference import inference_settings
from hrda_ros.settings import Settings


def test_the_defaults_of_the_node_are_those_of_the_segmenter() -> None:
    assert inference_settings(Settings()) == InferenceSettings()


def test_limits_are_passed_on() -> None:
    found = inference_settings(
        Settings(mode='anytime', threshold=0.1, budget=0, deadline_ms=80.0, ageing=0.5)
    )
    assert (found.mode, found.threshold, found.budget) == ('anytime', 0.1, 0)
    assert (found.deadline_ms, found.ageing) == (80.0, 0.5)


def test_class_weights_are_read() -> None:
    found = inference_settings(Settings(class_weights='person=4, rider=2'))
    assert found.class_weights == {'person': 4.0, 'rider': 2.0}
