"""Subscribes to whatever topics there are, and hands on their messages as they are serialised."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rosbags.interfaces import Qos

from visionscaling_ros.bags.topic_choice import COMPRESSED_IMAGE, IMAGE, TopicChoice
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.nodes.compat import (
    SubscriptionEventCallbacks,
    steady_clock,
    with_message_info,
)
from visionscaling_ros.nodes.listener import Listener
from visionscaling_ros.nodes.message_class import message_class
from visionscaling_ros.nodes.publisher_qos import qos_for_bag, qos_to_ask

LOOK_PERIOD_S = 0.25
IMAGE_DEPTH = 10
DEPTH = 100


class Sink(Protocol):
    """Takes topics and messages, in the tap's thread."""

    def add_topic(self, name: str, message_type: str, qos: Sequence[Qos]) -> Any:
        """What ``put`` takes for the topic; raises VisionScalingError to refuse it."""

    def put(self, topic: Any, log_ns: int, data: bytes) -> None:
        """A message, received at ``log_ns`` [ns]."""


class TopicTap(Listener):
    """A node that listens to the topics chosen, also to those that come later.

    :param choice: of topics.
    :param sink: where their messages go.
    :param on_skipped: told once of a topic that is not taken, and why.
    :param use_sim_time: messages are received in the time of /clock, from its first message on.
    """

    def __init__(
        self,
        choice: TopicChoice,
        sink: Sink,
        *,
        name: str = 'bag_recorder',
        on_skipped: Callable[[str, str], None] = lambda topic, why: None,
        use_sim_time: bool = False,
    ) -> None:
        super().__init__(name)
        self.sink = sink
        self._choice = choice
        self._on_skipped = on_skipped
        self._use_sim_time = use_sim_time
        self._taps: dict[str, tuple[Subscription, QoSProfile]] = {}
        self._skipped: set[str] = set()
        self._offers: dict[str, int] = {}

    @property
    def topics(self) -> frozenset[str]:
        """What it listens to."""
        return frozenset(self._taps)

    def subscribe(self) -> None:
        """To what there is; then look for more again and again."""
        if self._use_sim_time:
            self.node.set_parameters([Parameter('use_sim_time', value=True)])
        self.look()
        self.node.create_timer(LOOK_PERIOD_S, self.look, clock=steady_clock())

    def look(self) -> None:
        """Subscribe to topics that are new, and anew where publishers offer less than before.

        Not before /clock tells the time, if that is to be used: until then it is 0.
        """
        if self._use_sim_time and not self.node.get_clock().now().nanoseconds:
            return
        found = {name: types for name, types in self.node.get_topic_names_and_types() if types}
        chosen = self._choice.chosen({name: types[0] for name, types in found.items()})
        for name in chosen - self._skipped:
            publishers = self.node.count_publishers(name)
            if publishers != self._offers.get(name, 0):
                self._offers[name] = publishers
                self._follow(name, found[name])

    def _follow(self, name: str, types: list[str]) -> None:
        offered = [info.qos_profile for info in self.node.get_publishers_info_by_topic(name)]
        if not offered:
            return
        is_image = types[0] in (IMAGE, COMPRESSED_IMAGE)
        asked = qos_to_ask(offered, IMAGE_DEPTH if is_image else DEPTH)
        known = self._taps.get(name)
        if known is None:
            try:
                kind = message_class(_only(types))
                topic = self.sink.add_topic(name, types[0], [qos_for_bag(q) for q in offered])
            except VisionScalingError as error:
                self._skipped.add(name)
                self._on_skipped(name, str(error))
                return
            callback = with_message_info(self._taker(topic))
        elif known[1] == asked:
            return
        else:
            old = known[0]
            kind, callback = old.msg_type, old.callback
            self.node.destroy_subscription(old)
        # one that came in place of another may offer less
        events = SubscriptionEventCallbacks(
            incompatible_qos=lambda event: self._offers.pop(name, None)
        )
        subscription = self.node.create_subscription(
            kind, name, callback, asked, raw=True, event_callbacks=events
        )
        self._taps[name] = subscription, asked

    def _taker(self, topic: Any) -> Callable[[bytes, Any], None]:
        put = self.sink.put
        if self._use_sim_time:
            clock = self.node.get_clock()
            return lambda data, info: put(topic, clock.now().nanoseconds, data)
        return lambda data, info: put(topic, _received_ns(info), data)


def _received_ns(info: Any) -> int:
    """When the middleware received it; now, where it does not tell."""
    return (info and info['received_timestamp']) or time.time_ns()


def _only(types: list[str]) -> str:
    """The type of a topic; raises VisionScalingError when publishers differ on it."""
    if len(types) > 1:
        raise VisionScalingError(f'it has several types: {", ".join(types)}')
    return types[0]
