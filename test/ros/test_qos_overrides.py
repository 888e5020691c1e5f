"""Quality of service by parameters, as rclpy names them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from hrda_ros.process import StartError


def profile_of(graph: Any, topic: str) -> Any:
    """What the only publisher of a topic offers."""
    graph.spin_until(lambda: graph.peer.get_publishers_info_by_topic(topic))
    [info] = graph.peer.get_publishers_info_by_topic(topic)
    return info.qos_profile


def test_an_output_is_published_as_the_parameter_says(graph: Any) -> None:
    prefix = 'qos_overrides./segmentation/label.publisher'
    graph.start_node(
        **{f'{prefix}.reliability': 'best_effort', f'{prefix}.durability': 'transient_local'}
    )
    label = profile_of(graph, '/segmentation/label')
    assert label.reliability == ReliabilityPolicy.BEST_EFFORT
    assert label.durability == DurabilityPolicy.TRANSIENT_LOCAL
    confidence = profile_of(graph, '/segmentation/confidence')
    assert confidence.reliability == ReliabilityPolicy.RELIABLE
    assert confidence.durability == DurabilityPolicy.VOLATILE


def test_the_reliability_of_the_input_does_not_change_with_the_camera(graph: Any) -> None:
    node = graph.start_node(**{'qos_overrides./image.subscription.reliability': 'best_effort'})
    graph.camera('reliable')
    graph.spin_for(0.7)
    assert node.cameras[0].input.policy == ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('/segmentation/label.publisher.reliability', 'sometimes'),
        ('/segmentation/label.publisher.depth', 'deep'),
        ('/image.subscription.reliability', 'auto'),
        ('/image.subscription.history', 'some'),
    ],
)
def test_a_value_that_means_nothing_ends_the_start(graph: Any, name: str, value: str) -> None:
    topic = name.partition('.')[0]
    with pytest.raises(StartError, match=rf'qos_overrides\.{topic}\.'):
        graph.start_node(**{f'qos_overrides.{name}': value})
