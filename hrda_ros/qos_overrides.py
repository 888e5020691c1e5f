"""Publishers and subscriptions whose quality of service can be changed by parameters."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from hrda_ros.process import StartError

PUBLISHED = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
# Not reliability: the first value would be kept when the publisher's changes.
SUBSCRIBED = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY)


def create_publisher(node: Node, kind: type[Any], topic: str, profile: QoSProfile) -> Publisher:
    """A publisher that obeys `qos_overrides.<full topic>.publisher.*`.

    Raises:
        StartError: one of these parameters has a value that means nothing.
    """
    try:
        # rclpy writes the overrides into the profile that it is given.
        return node.create_publisher(
            kind, topic, copy(profile), qos_overriding_options=QoSOverridingOptions(PUBLISHED)
        )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise _refused(node, topic, error) from error


def create_subscription(
    node: Node,
    kind: type[Any],
    topic: str,
    callback: Callable[[Any], None],
    profile: QoSProfile,
    events: SubscriptionEventCallbacks,
) -> Subscription:
    """A subscription that obeys `qos_overrides.<full topic>.subscription.*` but reliability.

    Raises:
        StartError: one of these parameters has a value that means nothing.
    """
    try:
        return node.create_subscription(
            kind,
            topic,
            callback,
            copy(profile),
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions(SUBSCRIBED),
        )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise _refused(node, topic, error) from error


def overridden_reliability(node: Node, topic: str) -> str | None:
    """What `qos_overrides.<topic>.subscription.reliability` asks for; None if it is not given.

    Raises:
        StartError: it is neither reliable nor best_effort.
    """
    name = f'qos_overrides.{topic}.subscription.reliability'
    if not node.has_parameter(name):
        return None
    value = node.get_parameter(name).value
    if value not in ('reliable', 'best_effort'):
        raise StartError(f'parameter {name} must be reliable or best_effort, not {value!r}')
    return str(value)


def _refused(node: Node, topic: str, error: Exception) -> StartError:
    return StartError(
        f'parameters qos_overrides.{node.resolve_topic_name(topic)}.*: {error or "wrong type"}; '
        'see `ros2 topic info --verbose` for what values look like'
    )
