"""Counts what went over the link and what came back."""

from __future__ import annotations

import math

from visionscaling_ros.edge.capacity_estimator import CapacityEstimator
from visionscaling_ros.edge.circuit_breaker import CircuitState
from visionscaling_ros.edge.link_snapshot import LinkSnapshot
from visionscaling_ros.edge.offload import FailureReason
from visionscaling_ros.edge.protocol import EdgeReply


class LinkMonitor:
    """The books behind :class:`LinkSnapshot`. Not thread-safe; times are of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self.accepted = 0
        self.answered = 0
        self.failed = 0
        self._sent_bytes = 0
        self._share = math.nan
        self._estimator = CapacityEstimator()
        self._snapshot_s = now_s
        self._goodput_bits = 0.0
        self._queue_sum_s = 0.0
        self._compute_sum_s = 0.0
        self._replies = 0

    def rtt_measured(self, rtt_s: float, now_s: float, *, idle: bool) -> None:
        """A probe took ``rtt_s`` [s], on an ``idle`` link or behind frames."""
        self._estimator.rtt_measured(rtt_s, now_s, idle=idle)

    def sent(self, key: int, upload_bytes: int, now_s: float) -> None:
        """A request starts."""
        self._sent_bytes += upload_bytes
        self._estimator.sent(key, 8.0 * upload_bytes, now_s)

    def request_answered(self, key: int, upload_bytes: int, reply: EdgeReply, now_s: float) -> None:
        """Its reply is here."""
        self.answered += 1
        self._share = reply.share
        self._estimator.answered(key, now_s, reply.queue_s + reply.compute_s)
        self._goodput_bits += 8.0 * upload_bytes
        self._queue_sum_s += reply.queue_s
        self._compute_sum_s += reply.compute_s
        self._replies += 1

    def request_failed(self, key: int, reason: FailureReason, now_s: float) -> None:
        """It came to nothing; only a timeout says something about the link."""
        if reason is FailureReason.TIMEOUT:
            self._estimator.timed_out(key, now_s)
        else:
            self._estimator.forgotten(key)

    def forgotten(self, key: int) -> None:
        """Nobody waits for it any more."""
        self._estimator.forgotten(key)

    def expected_reply_s(self, upload_bytes: int, now_s: float) -> float:
        """How long a request sent now is expected to take [s]; 0 while nothing is known."""
        return self._estimator.expected_reply_s(8.0 * upload_bytes, now_s)

    def snapshot(
        self,
        now_s: float,
        *,
        server: str,
        circuit: CircuitState,
        tx_rate_bps: float,
        in_flight: int,
    ) -> LinkSnapshot:
        """The books now; means and goodput start anew."""
        elapsed_s = now_s - self._snapshot_s
        snapshot = LinkSnapshot(
            server=server,
            server_rank=0,
            reachable=circuit is not CircuitState.OPEN,
            circuit=circuit.value,
            tx_rate_bps=tx_rate_bps if math.isfinite(tx_rate_bps) else 0.0,
            goodput_bps=self._goodput_bits / elapsed_s if elapsed_s > 0.0 else 0.0,
            capacity_bps=self._estimator.capacity_bps(now_s),
            capacity_low_bps=math.nan,
            capacity_high_bps=math.nan,
            capacity_age_s=self._estimator.age_s(now_s),
            rtt_s=self._estimator.rtt_s,
            rtt_deviation_s=math.nan,
            loss=math.nan,
            loss_high=math.nan,
            server_queue_s=self._queue_sum_s / self._replies if self._replies else math.nan,
            server_compute_s=self._compute_sum_s / self._replies if self._replies else math.nan,
            server_share=self._share,
            server_share_age_s=math.nan,
            in_flight=in_flight,
            accepted=self.accepted,
            answered=self.answered,
            failed=self.failed,
            sent_bytes=self._sent_bytes,
        )
        self._snapshot_s = now_s
        self._goodput_bits = self._queue_sum_s = self._compute_sum_s = 0.0
        self._replies = 0
        return snapshot
