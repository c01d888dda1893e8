"""What is known of the way to one server, from what went over it and what came back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from visionscaling_ros.edge.bridge.capacity_estimator import CapacityEstimator
from visionscaling_ros.edge.bridge.link_snapshot import LinkReading
from visionscaling_ros.edge.bridge.loss_estimator import LossEstimator
from visionscaling_ros.edge.bridge.server_times import ModelCounters, ServerTimes
from visionscaling_ros.edge.wire.offload import FailureReason
from visionscaling_ros.edge.wire.protocol import EdgeReply

# The server has answered: it is not the link that lost the request.
_ANSWERS = (FailureReason.REFUSED, FailureReason.BAD_REPLY, FailureReason.UNAUTHORIZED)


class SentRequest(NamedTuple):
    """What has to be remembered of a request until its reply."""

    model: str
    upload_bytes: int
    sent_s: float


class LinkMonitor:
    """Estimates of one link and its server. Not thread-safe; times are of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self.capacity = CapacityEstimator()
        self._loss = LossEstimator()
        self._times = ServerTimes()
        self._tells_times = True
        self._share = math.nan
        self._share_s = math.nan
        self._read_s = now_s
        self._goodput_bits = 0.0
        self._queue_s: list[float] = []
        self._compute_s: list[float] = []

    @property
    def wants_counters(self) -> bool:
        """Whether the server's times have to be learnt from its statistics."""
        return not self._tells_times

    def sent(self, key: int, request: SentRequest) -> None:
        """A request starts."""
        self.capacity.sent(key, 8.0 * request.upload_bytes, request.sent_s)

    def answered(
        self, key: int, sent: SentRequest, reply: EdgeReply, wire_s: tuple[float, float]
    ) -> tuple[float, float]:
        """Its reply is here; returns the server's queueing and computing time [s], NaN: unknown.

        :param wire_s: when the request really left and the reply arrived.
        """
        started_s, now_s = wire_s
        queue_s, compute_s = reply.queue_s, reply.compute_s
        self._tells_times = not (math.isnan(queue_s) or math.isnan(compute_s))
        if not self._tells_times:
            queue_s, compute_s = self._times.mean_s(sent.model)
        if not math.isnan(reply.share):
            self._share, self._share_s = reply.share, now_s
        known = not math.isnan(queue_s + compute_s)
        self.capacity.answered(key, now_s, queue_s + compute_s if known else 0.0, started_s)
        self._loss.add(lost=False, now_s=now_s)
        self._goodput_bits += 8.0 * sent.upload_bytes
        if known:
            self._queue_s.append(queue_s)
            self._compute_s.append(compute_s)
        return queue_s, compute_s

    def failed(self, key: int, reason: FailureReason, now_s: float) -> None:
        """It came to nothing."""
        if reason is FailureReason.TIMEOUT:
            self.capacity.timed_out(key)
        else:
            self.capacity.forgotten(key)
        if reason is not FailureReason.SHUTDOWN:
            self._loss.add(lost=reason not in _ANSWERS, now_s=now_s)

    def counters_read(self, counters: Mapping[str, ModelCounters]) -> None:
        """The server's statistics are here."""
        self._times.looked(counters)

    def expected_reply_s(self, upload_bytes: int, now_s: float) -> float:
        """How long a request sent now is expected to take [s]; 0 while nothing is known."""
        return self.capacity.expected_reply_s(8.0 * upload_bytes, now_s)

    def read(self, now_s: float) -> LinkReading:
        """All estimates; means and goodput cover the time since the previous call."""
        elapsed_s = now_s - self._read_s
        capacity = self.capacity.estimate(now_s)
        loss, loss_high = self._loss.estimate(now_s)
        reading = LinkReading(
            goodput_bps=self._goodput_bits / elapsed_s if elapsed_s > 0.0 else 0.0,
            capacity_bps=capacity.mean_bps,
            capacity_low_bps=capacity.low_bps,
            capacity_high_bps=capacity.high_bps,
            capacity_age_s=self.capacity.age_s(now_s),
            rtt_s=self.capacity.rtt_s,
            rtt_deviation_s=self.capacity.rtt_deviation_s,
            loss=loss,
            loss_high=loss_high,
            server_queue_s=_mean(self._queue_s),
            server_compute_s=_mean(self._compute_s),
            server_share=self._share,
            server_share_age_s=now_s - self._share_s,
        )
        self._read_s = now_s
        self._goodput_bits = 0.0
        self._queue_s.clear()
        self._compute_s.clear()
        return reading


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
