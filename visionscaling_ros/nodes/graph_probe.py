"""Stands in for the controller while the graph is measured, and notes what frames went through."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

from visionscaling_ros import msg
from visionscaling_ros.datatypes import ImageArray, SlotDecision
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.message_reading import stamp_to_ns
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import bgr_to_image, decision_to_msg, make_header
from visionscaling_ros.nodes.listener import Listener

SERVICE_TIMEOUT_S = 10.0
QUIET_S = 2.0


@dataclass
class ProbeNotes:
    """What was seen since the notes were begun."""

    sent_stamps_ns: list[int] = field(default_factory=list)
    path_s: dict[int, float] = field(default_factory=dict)  # stamp -> image stamp to dispatcher
    processed: int = 0
    decision_times_s: list[float] = field(default_factory=list)
    began_s: float = 0.0


class GraphProbe(Listener):
    """A node in a thread of its own; use as a context manager."""

    def __init__(self) -> None:
        super().__init__('graph_probe')
        self._changed = threading.Condition()
        self._notes = ProbeNotes()
        self._publisher: Publisher | None = None
        self._image_publisher: Publisher | None = None

    def subscribe(self) -> None:
        """Results, truths (one per image of the camera) and decisions."""
        for message_type, topic, callback, qos in (
            (msg.FrameResult, topics.FRAME_RESULT, self._on_result, topics.reliable(1000)),
            (msg.FrameResult, topics.GROUND_TRUTH, self._on_truth, topics.reliable(1000)),
            (msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.DECISION_QOS),
        ):
            self.node.create_subscription(message_type, topic, callback, qos)

    def decide(self, decision: SlotDecision) -> None:
        """Publish a decision (transient local: late nodes get it too)."""
        if self._publisher is None:
            self._publisher = self.run(
                lambda: self.node.create_publisher(
                    msg.SlotDecision, topics.SLOT_DECISION, topics.DECISION_QOS
                )
            )
        stamp_ns = self.node.get_clock().now().nanoseconds
        self._publisher.publish(decision_to_msg(decision, make_header(stamp_ns)))

    def publish_images(self, image_bgr: ImageArray, rate_fps: float, seconds: float) -> None:
        """Be the camera: publish one picture again and again, paced without drift."""
        if self._image_publisher is None:
            self._image_publisher = self.run(
                lambda: self.node.create_publisher(
                    Image, topics.IMAGE_RAW, topics.IMAGE_PUBLISHER_QOS
                )
            )
        clock = self.node.get_clock()
        started_s = time.monotonic()
        for number in range(int(seconds * rate_fps)):
            time.sleep(max(0.0, started_s + number / rate_fps - time.monotonic()))
            stamp_ns = clock.now().nanoseconds
            with self._changed:
                self._notes.sent_stamps_ns.append(stamp_ns)
            self._image_publisher.publish(bgr_to_image(image_bgr, make_header(stamp_ns)))

    def begin(self) -> None:
        """Start new notes."""
        with self._changed:
            self._notes = ProbeNotes(began_s=time.monotonic())

    def end(self) -> tuple[ProbeNotes, float]:
        """The notes, and the time they cover [s]."""
        with self._changed:
            notes, self._notes = self._notes, ProbeNotes()
            return notes, time.monotonic() - notes.began_s

    def wait_for_frames(self, count: int, timeout_s: float) -> None:
        """Wait until frames have a fate; raises VisionScalingError when none come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._notes.path_s) >= count, timeout_s):
                raise VisionScalingError(f'no {count} frame_result within {timeout_s:.0f} s')

    def has_frames(self, count: int) -> bool:
        """Whether that many frames had a fate since the notes were begun."""
        with self._changed:
            return len(self._notes.path_s) >= count

    def wait_for_quiet(self) -> None:
        """Give the last frames time to arrive."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._notes.path_s) >= len(self._notes.sent_stamps_ns), QUIET_S
            )

    def wait_for_decisions(self, count: int, timeout_s: float) -> None:
        """Wait until the controller has decided; raises VisionScalingError when it does not."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self._notes.decision_times_s) >= count, timeout_s
            ):
                raise VisionScalingError(f'no {count} slot_decision within {timeout_s:.0f} s')

    def deactivate(self, node_name: str) -> None:
        """Deactivate a lifecycle node; raises VisionScalingError if it does not answer."""
        request = ChangeState.Request(
            transition=Transition(id=Transition.TRANSITION_DEACTIVATE)
        )
        self.call(ChangeState, f'{node_name}/change_state', request, SERVICE_TIMEOUT_S)

    def _on_result(self, message: msg.FrameResult) -> None:
        with self._changed:
            stamp_ns = stamp_to_ns(message.header.stamp)
            self._notes.path_s[stamp_ns] = message.age_s - message.latency_s
            self._notes.processed += message.status == msg.FrameResult.STATUS_PROCESSED
            self._changed.notify_all()

    def _on_truth(self, message: msg.FrameResult) -> None:
        with self._changed:
            self._notes.sent_stamps_ns.append(stamp_to_ns(message.header.stamp))

    def _on_decision(self, message: msg.SlotDecision) -> None:
        with self._changed:
            self._notes.decision_times_s.append(message.decision_time_s)
            self._changed.notify_all()
