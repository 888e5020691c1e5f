"""The camera side of the node: which topic, which reliability, and a word when it stays silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from hrda_ros.qos_overrides import create_subscription, overridden_reliability

ImageMessage: TypeAlias = Image | CompressedImage
POLL_PERIOD_S = 0.5
SILENCE_S = 5.0
REPEAT_S = 30.0
POLICIES = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
}


def steady_clock() -> Clock:
    """A clock that runs on when simulated time stands still."""
    return Clock(clock_type=ClockType.STEADY_TIME)


def choose_reliability(
    mode: str, offered: Sequence[ReliabilityPolicy], current: ReliabilityPolicy | None = None
) -> ReliabilityPolicy:
    """Reliability to ask for, given what the publishers of a topic offer.

    Args:
        mode: 'reliable', 'best_effort', or 'auto': reliable when every publisher is.
        offered: one entry per publisher; empty while none is known.
        current: what is asked now, kept by 'auto' while no publisher is known.
    """
    if mode != 'auto':
        return POLICIES[mode]
    if not offered:
        # Best effort matches every publisher, so nothing is missed before the first look.
        return current or ReliabilityPolicy.BEST_EFFORT
    every = all(policy == ReliabilityPolicy.RELIABLE for policy in offered)
    return ReliabilityPolicy.RELIABLE if every else ReliabilityPolicy.BEST_EFFORT


def input_topic(image: str, image_transport: str) -> str:
    """Topic to subscribe to, from the resolved name of `image`."""
    suffix = '/compressed' if image_transport == 'compressed' else ''
    return image if image.endswith('/compressed') else image + suffix


class ImageInput:
    """A subscription of depth 1 that follows the publishers' reliability and reports silence.

    Args:
        node: the node that subscribes.
        image: name of the camera's topic, to be remapped.
        image_transport: 'raw' or 'compressed'.
        reliability: 'auto', 'reliable' or 'best_effort'.
        on_image: called with every message, in the executor's thread.
        expecting: whether frames are wanted now; silence is reported only then.
    """

    def __init__(
        self,
        node: Node,
        image: str,
        image_transport: str,
        reliability: str,
        on_image: Callable[[ImageMessage], None],
        expecting: Callable[[], bool],
    ) -> None:
        self.topic = input_topic(node.resolve_topic_name(image), image_transport)
        self._type = CompressedImage if image_transport == 'compressed' else Image
        self._node = node
        self._image = image
        self._mode = overridden_reliability(node, self.topic) or reliability
        self._on_image = on_image
        self._expecting = expecting
        self._last_frame_s = time.monotonic()
        self._report_at_s = self._last_frame_s + SILENCE_S
        self._policy = choose_reliability(self._mode, self._offered())
        self._subscription = self._subscribe()
        # Timers of the ROS clock stand still under use_sim_time without /clock.
        self._timer = node.create_timer(POLL_PERIOD_S, self._poll, clock=steady_clock())

    @property
    def policy(self) -> ReliabilityPolicy:
        """Reliability that the subscription asks for now."""
        return self._policy

    def silent_for_s(self) -> float:
        """Seconds since the last frame, or since the start."""
        return time.monotonic() - self._last_frame_s

    def _subscribe(self) -> Subscription:
        return create_subscription(
            self._node,
            self._type,
            self.topic,
            self._receive,
            QoSProfile(depth=1, reliability=self._policy),
            SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible),
        )

    def _receive(self, message: ImageMessage) -> None:
        self._last_frame_s = time.monotonic()
        self._report_at_s = self._last_frame_s + SILENCE_S
        self._on_image(message)

    def _publishers(self) -> list[TopicEndpointInfo]:
        return list(self._node.get_publishers_info_by_topic(self.topic))

    def _offered(self) -> list[ReliabilityPolicy]:
        return [info.qos_profile.reliability for info in self._publishers()]

    def _poll(self) -> None:
        policy = choose_reliability(self._mode, self._offered(), self._policy)
        if policy != self._policy:
            self._policy = policy
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()
            self._node.get_logger().info(f'{self.topic}: now {policy.name.lower()}, as published')
        self._report_silence()

    def _report_silence(self) -> None:
        now_s = time.monotonic()
        if not self._expecting():
            self._report_at_s = now_s + SILENCE_S
        elif now_s >= self._report_at_s:
            self._report_at_s = now_s + REPEAT_S
            self._node.get_logger().warning(self.describe_silence())

    def describe_silence(self) -> str:
        """Say that no frame came, and what is known of the topic's publishers."""
        seen = ', '.join(_describe(info) for info in self._publishers())
        return (
            f'no frame on {self.topic} for {self.silent_for_s():.0f} s; '
            f'asked for: {self._type.__name__}, {self._policy.name.lower()}; publishers: '
            + (seen or f'none, check the remap of {self._image} and image_transport')
            + ('' if seen else self._elsewhere())
        )

    def _elsewhere(self) -> str:
        """Topics of this type that are to be had, in words."""
        kind = f'sensor_msgs/msg/{self._type.__name__}'
        own = self._node.get_fully_qualified_name() + '/'
        topics = [
            name
            for name, types in self._node.get_topic_names_and_types()
            if kind in types and name != self.topic and not name.startswith(own)
        ]
        return f'; there are: {", ".join(topics[:8])}' if topics else ''

    def describe_mismatch(self) -> str:
        """Say which publishers cannot be heard, and the remedy; '' if all can.

        Reliability is all that can mismatch: no durability, deadline or liveliness is asked for.
        """
        if self._policy != ReliabilityPolicy.RELIABLE:
            return ''
        unheard = [
            _describe(info)
            for info in self._publishers()
            if info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        ]
        return (
            f'{self.topic} is asked for as reliable, which {", ".join(unheard)} does not offer; '
            'set the parameter reliability to auto'
            if unheard
            else ''
        )

    def _on_incompatible(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        if self._mode == 'auto':  # the next poll asks for what is offered
            return
        self._node.get_logger().error(
            f'{self.topic}: a publisher offers a quality of service that does not match '
            f'(policy {event.last_policy_kind}); set the parameter reliability to auto'
        )


def _describe(info: TopicEndpointInfo) -> str:
    return (
        f'{info.node_namespace.rstrip("/")}/{info.node_name} '
        f'({info.topic_type}, {info.qos_profile.reliability.name.lower()})'
    )
