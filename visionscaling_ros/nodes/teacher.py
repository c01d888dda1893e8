"""Shows some of the processed frames to the largest model at the edge too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Detections
from visionscaling_ros.message_reading import msgs_to_detections
from visionscaling_ros.nodes.result_output import offload_to_msg
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.newest_worker import NewestWorker
from visionscaling_ros.pipeline.upload_worker import Encode

WAIT_S = 5.0  # past this the edge bridge, which answers by the deadline, has forgotten the frame

OnAnswer = Callable[[FrameFate, Detections], None]


class Teacher(NewestWorker[FrameFate]):
    """One thread that encodes and sends. The frames it sends are in no books: they had their fate.

    They are marked spare, so that the edge bridge sends them only while no other frame is to be
    sent, and count in its tx rate like any other.

    :param encode: BGR image (H, W, 3), model and input size [px] to what is sent.
    :param publish: hands a frame to the edge bridge.
    :param on_answer: called with a fate and what the teacher found in its frame.
    """

    def __init__(
        self, encode: Encode, publish: Callable[[CompressedImage], None], on_answer: OnAnswer
    ) -> None:
        super().__init__('teacher')
        self._encode = encode
        self._publish = publish
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._processed = 0
        self._waiting: dict[int, tuple[FrameFate, tuple[str, int]]] = {}  # and who was asked
        self.point = ('', 0)
        self.every_frames = 1
        self.max_age_s = 1.0
        self.available = False
        self.sent = 0
        self.answered = 0
        self.last_refusal = ''

    def offer(self, fate: FrameFate) -> None:
        """Take notice of a processed frame; every ``every_frames``-th is sent if the edge answers.

        A frame the teacher itself processed says nothing.
        """
        allocation = fate.frame.allocation
        assert allocation is not None
        with self._lock:
            self._processed += 1
            due = self._processed >= self.every_frames
            same = (allocation.model, allocation.input_size_px) == self.point
            if not due or same or not self.available:
                return
            self._processed = 0
        self.put(fate)

    def take_reply(self, reply: msg.FrameResult) -> bool:
        """Take the edge bridge's word on a frame sent from here; False for any other."""
        with self._lock:
            asked = self._waiting.pop(reply.frame_number, None)
        if asked is None:
            return False
        fate, point = asked
        if point != self.point:
            return True  # another teacher by now
        if reply.status == msg.FrameResult.STATUS_PROCESSED:
            self.answered += 1
            self._on_answer(fate, msgs_to_detections(reply.detections))
        else:
            self.last_refusal = reply.drop_reason
        return True

    def work(self, item: FrameFate) -> None:
        """Encode one frame and pass it on."""
        point = self.point
        frame, now_s = item.frame, time.monotonic()
        try:
            payload = self._encode(frame.decode(), *point)
        except Exception:  # it was decoded and had its fate before: nothing is lost but this
            return
        message = offload_to_msg(
            frame,
            payload,
            point=point,
            image_size_px=(item.image_width_px, item.image_height_px),
            deadline_s=now_s + self.max_age_s,
            spare=True,
        )
        with self._lock:
            forgotten_s = now_s - self.max_age_s - WAIT_S
            for number, (waiting, _) in list(self._waiting.items()):
                if waiting.frame.arrived_s < forgotten_s:
                    del self._waiting[number]
            self._waiting[frame.number] = item, point
        self.sent += 1
        self._publish(message)
