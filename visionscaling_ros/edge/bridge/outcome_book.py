"""What became of the frames: one outcome for each, counted, to be told to whoever listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.edge.bridge.waiting_frames import WaitingFrame
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadOutcome
from visionscaling_ros.edge.wire.protocol import EdgeReply

_logger = logging.getLogger(__name__)


class OutcomeBook:
    """Counts frames and keeps their outcomes until they are taken. Not thread-safe."""

    def __init__(self) -> None:
        self.accepted = 0
        self.answered = 0
        self.failed = 0
        self._outcomes: list[OffloadOutcome] = []

    def answer(
        self, waited: WaitingFrame, reply: EdgeReply, server_s: tuple[float, float], now_s: float
    ) -> None:
        """A server found something, or nothing, in the frame.

        :param server_s: how long the frame queued there and was computed.
        """
        self.answered += 1
        frame, detections = waited.frame, reply.detections
        assert detections is not None  # a client decodes tensors
        self._outcomes.append(
            OffloadOutcome(
                frame,
                answered=True,
                reason='',
                detections=detections.to_pixels(frame.image_width_px, frame.image_height_px),
                queue_s=server_s[0],
                compute_s=server_s[1],
                upload_bytes=waited.upload_bytes,
                elapsed_s=now_s - waited.accepted_s,
            )
        )

    def fail(
        self, waited: WaitingFrame, reason: FailureReason, message: str = '', upload_bytes: int = 0
    ) -> None:
        """The frame has no answer."""
        self.failed += 1
        self._outcomes.append(
            OffloadOutcome(
                waited.frame,
                answered=False,
                reason=reason.value,
                detections=Detections.empty(),
                message=message,
                upload_bytes=upload_bytes,
                elapsed_s=time.monotonic() - waited.accepted_s,
            )
        )

    def take(self) -> list[OffloadOutcome]:
        """The outcomes since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes


def deliver(outcomes: list[OffloadOutcome], listener: Callable[[OffloadOutcome], None]) -> None:
    """Tell ``listener`` of each."""
    for outcome in outcomes:
        try:
            listener(outcome)
        except Exception:  # the listener's bug must not cost the other frames theirs
            _logger.exception('on_outcome failed for frame %d', outcome.frame.frame_number)
