"""Listens to every robot there is, and keeps what is known of each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from visionscaling_ros import msg
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.message_reading import fill, msg_to_decision, msg_to_slot_state
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.compat import steady_clock
from visionscaling_ros.nodes.listener import Listener
from visionscaling_ros.nodes.publisher_qos import qos_to_ask
from visionscaling_ros.watch.readings import (
    GpuReading,
    LinkReading,
    inference_reading,
    robot_of_status,
    status_reading,
)
from visionscaling_ros.watch.robot_view import RobotView
from visionscaling_ros.watch.watched_robot import WatchedRobot

LOOK_PERIOD_S = 0.5
DEPTH = 10
DIAGNOSTICS = '/diagnostics'


@dataclass(frozen=True)
class _Followed:
    """A topic of a robot: its type, how a message is read, and which method hears it."""

    message_type: Any
    read: Callable[[Any], Any]
    hear: Callable[[WatchedRobot, Any, float], None]

    @property
    def type_name(self) -> str:
        """As the graph has it: ``visionscaling_ros/msg/SlotState``."""
        return f'visionscaling_ros/msg/{self.message_type.__name__}'


FOLLOWED = {
    topics.SLOT_STATE: _Followed(msg.SlotState, msg_to_slot_state, WatchedRobot.heard_state),
    topics.SLOT_DECISION: _Followed(
        msg.SlotDecision, msg_to_decision, WatchedRobot.heard_decision
    ),
    topics.CONTROLLER_SETTINGS: _Followed(
        msg.ControllerSettings, partial(fill, ControlSettings), WatchedRobot.heard_settings
    ),
    topics.GPU_STATE: _Followed(msg.GpuState, partial(fill, GpuReading), WatchedRobot.heard_gpu),
    topics.LINK_STATE: _Followed(
        msg.LinkState, partial(fill, LinkReading), WatchedRobot.heard_link
    ),
    topics.INFERENCE_STATE: _Followed(
        msg.InferenceState, inference_reading, WatchedRobot.heard_inference
    ),
}


class RobotWatcher(Listener):
    """A node in a thread of its own; use as a context manager.

    A robot is a namespace in which somebody publishes one of FOLLOWED. Its topics are subscribed
    to with the QoS its publishers offer, and anew when that changes.

    :param namespaces: robots to watch, '' for the root; none: all there are.
    """

    def __init__(self, namespaces: Sequence[str] = ()) -> None:
        super().__init__(f'visionscaling_top_{os.getpid()}')
        self._wanted = tuple(namespaces)
        self._changed = threading.Condition()
        self._robots = {namespace: WatchedRobot(namespace) for namespace in namespaces}
        self._subscriptions: dict[str, tuple[Subscription, QoSProfile]] = {}

    def subscribe(self) -> None:
        """To what there is; then look for more again and again."""
        self._look()
        self.node.create_timer(LOOK_PERIOD_S, self._look, clock=steady_clock())

    def views(self) -> list[RobotView]:
        """The robots as they are known now, by namespace."""
        now_s = time.monotonic()
        with self._changed:
            return [robot.view(now_s) for _, robot in sorted(self._robots.items())]

    def wait_until(self, predicate: Callable[[list[RobotView]], bool], timeout_s: float) -> bool:
        """Wait until the predicate is true of the robots known; whether it became true in time."""
        with self._changed:  # its lock is one that a thread may take twice
            return self._changed.wait_for(lambda: predicate(self.views()), timeout_s)

    def _look(self) -> None:
        """Follow topics that are new, and mark robots that are gone."""
        present = set()
        for name, types in self.node.get_topic_names_and_types():
            namespace, _, topic = name.rpartition('/')
            followed = FOLLOWED.get(topic)
            if name == DIAGNOSTICS:
                self._follow(name, DiagnosticArray, self._on_diagnostics)
            elif followed is None or followed.type_name not in types:
                continue
            elif not self._wanted or namespace in self._wanted:
                hear = partial(self._on_message, namespace, followed)
                if self._follow(name, followed.message_type, hear):
                    present.add(namespace)
        with self._changed:
            for namespace in present - set(self._robots):
                self._robots[namespace] = WatchedRobot(namespace)
            for namespace, robot in self._robots.items():
                robot.present = namespace in present
            self._changed.notify_all()

    def _follow(self, name: str, message_type: Any, hear: Callable[[bytes], None]) -> bool:
        """Subscribe to a topic, anew if its publishers offer something else now.

        Whether there are publishers. Messages come serialised: one that cannot be read would end
        the executor otherwise.
        """
        offered = [info.qos_profile for info in self.node.get_publishers_info_by_topic(name)]
        if not offered:
            return False
        asked = qos_to_ask(offered, DEPTH)
        subscription, before = self._subscriptions.get(name, (None, None))
        if before != asked:
            if subscription is not None:
                self.node.destroy_subscription(subscription)
            self._subscriptions[name] = (
                self.node.create_subscription(message_type, name, hear, asked, raw=True),
                asked,
            )
        return True

    def _on_message(self, namespace: str, followed: _Followed, data: bytes) -> None:
        with self._changed:
            robot = self._robots.setdefault(namespace, WatchedRobot(namespace))
            try:
                known = followed.read(deserialize_message(data, followed.message_type))
            except Exception:  # of another version, or nonsense: whatever it is, it is counted
                robot.did_not_understand()
            else:
                followed.hear(robot, known, time.monotonic())
            self._changed.notify_all()

    def _on_diagnostics(self, data: bytes) -> None:
        try:
            statuses = deserialize_message(data, DiagnosticArray).status
        except Exception:  # nonsense: whose it is, nobody knows
            return
        with self._changed:
            for status in statuses:
                robot = self._robots.get(robot_of_status(status))
                if robot is not None:
                    robot.heard_status(status_reading(status), time.monotonic())
            self._changed.notify_all()
