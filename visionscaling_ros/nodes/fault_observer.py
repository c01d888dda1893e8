"""Watches a robot through faults, keeps its ROS time, and sets its parameters."""

from __future__ import annotations

import threading
import time

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from visionscaling_ros import msg
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.message_reading import NANOSECONDS
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.compat import steady_clock
from visionscaling_ros.nodes.conversions import make_header
from visionscaling_ros.nodes.listener import Listener
from visionscaling_ros.trials.faults.fate_ledger import FateLedger
from visionscaling_ros.trials.faults.observer import EDGE_RESULT, LINK_STATE, SLOT_DECISION

SERVICE_TIMEOUT_S = 10.0
CLOCK_PERIOD_S = 0.05


class FaultObserver(Listener):
    """A ``RobotObserver`` (trials/faults) in a thread of its own; use as a context manager.

    It publishes ``/clock``: the robot's nodes have to run with ``use_sim_time``.
    """

    def __init__(self) -> None:
        super().__init__('fault_observer')
        self.ledger = FateLedger()
        self._changed = threading.Condition()
        self._latest_s: dict[str, float] = {}
        self._clock_offset_s = 0.0

    def subscribe(self) -> None:
        """Fates, books, link and decisions; the clock."""
        for message_type, topic, callback, qos in (
            (msg.FrameResult, topics.FRAME_RESULT, self._on_result, topics.reliable(1000)),
            (msg.InferenceState, topics.INFERENCE_STATE, self._on_books, topics.STATE_QOS),
            (msg.LinkState, topics.LINK_STATE, self._on_link, topics.STATE_QOS),
            (msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.reliable(10)),
        ):
            self.node.create_subscription(message_type, topic, callback, qos)
        self._clock_publisher = self.node.create_publisher(Clock, '/clock', 1)
        self.node.create_timer(CLOCK_PERIOD_S, self._publish_clock, clock=steady_clock())

    def wait_for(self, event: str, after_s: float, timeout_s: float) -> float | None:
        """When the event came first after ``after_s`` [s]; None if it did not in time."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._latest_s.get(event, after_s) > after_s, timeout_s
            ):
                return None
            return self._latest_s[event]

    def set_parameter(self, node: str, name: str, value: str) -> None:
        """Set a parameter; raises VisionScalingError when the node refuses or does not answer."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        answer = self.call(SetParameters, f'{node}/set_parameters', request, SERVICE_TIMEOUT_S)
        (result,) = answer.results
        if not result.successful:
            raise VisionScalingError(f'{node} {name} = {value!r}: {result.reason}')

    def jump_clock(self, offset_s: float) -> None:
        """Let the ROS time be off by ``offset_s`` from now on."""
        self._clock_offset_s = offset_s

    def _publish_clock(self) -> None:
        now_ns = time.time_ns() + round(self._clock_offset_s * NANOSECONDS)
        self._clock_publisher.publish(Clock(clock=make_header(now_ns).stamp))

    def _on_result(self, message: msg.FrameResult) -> None:
        now_s = time.monotonic()
        if message.status != msg.FrameResult.STATUS_PROCESSED:
            fate = 'dropped'
        elif message.origin == msg.Allocation.ORIGIN_LOCAL:
            fate = 'local'
        else:
            fate = 'edge'
            self._happened(EDGE_RESULT)
        self.ledger.add_fate(message.frame_number, fate, now_s)

    def _on_books(self, message: msg.InferenceState) -> None:
        self.ledger.add_books(
            message.arrived,
            message.processed_local,
            message.processed_edge,
            message.dropped,
            message.in_flight,
        )

    def _on_link(self, message: msg.LinkState) -> None:
        self._happened(LINK_STATE)

    def _on_decision(self, message: msg.SlotDecision) -> None:
        self._happened(SLOT_DECISION)

    def _happened(self, event: str) -> None:
        with self._changed:
            self._latest_s[event] = time.monotonic()
            self._changed.notify_all()
