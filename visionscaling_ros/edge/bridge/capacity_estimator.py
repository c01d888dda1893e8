"""Estimates an uplink's capacity from the requests that went over it anyway."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.edge.bridge.capacity_window import (
    RESOLUTION_S,
    Busy,
    CapacityEstimate,
    CapacityWindow,
)
from visionscaling_ros.edge.bridge.overhead_estimator import OverheadEstimator
from visionscaling_ros.edge.bridge.rtt_estimator import RttEstimator

# How much of what waits is taken to have got through: anything from nothing to nearly all.
WAITING_SHARE = 0.5


@dataclass
class _Transfer:
    sent_s: float
    bits: float
    expected: bool = True  # somebody still waits for its reply


class CapacityEstimator:
    """Times the bits of every request on the link.

    The link delivers in order, so a request occupied it from the later of its start and the
    previous delivery until its reply, less the server's share of the time and the round trip of an
    empty request; that reply says that everything sent before is through too, what timed out
    included. While the oldest request waits longer than it should, what is under way bounds the
    capacity from above, so the estimate falls before anything times out. Time in which the pace
    held bytes back does not count. Not thread-safe; times are of one monotonic clock.
    """

    def __init__(self) -> None:
        self._transfers: dict[int, _Transfer] = {}
        self._window = CapacityWindow()
        self._rtt = RttEstimator()
        self._overhead = OverheadEstimator()
        self._delivered_s = -math.inf  # until when the link is known to have been busy
        self._server_s = 0.0  # what the server took lately
        self._held = False

    @property
    def rtt_s(self) -> float:
        """Round trip of an empty request on an idle link [s]; NaN: none yet."""
        return self._rtt.rtt_s

    @property
    def rtt_deviation_s(self) -> float:
        """Mean deviation of the round trips from it [s]; NaN: none yet."""
        return self._rtt.deviation_s

    def rtt_measured(self, rtt_s: float, now_s: float, *, idle: bool = True) -> None:
        """An empty request took ``rtt_s`` [s], on an ``idle`` link or behind frames."""
        self._rtt.add(rtt_s, now_s, idle=idle)

    def sent(self, key: int, bits: float, now_s: float) -> None:
        """A request of ``bits`` starts."""
        self._transfers[key] = _Transfer(now_s, bits)

    def answered(
        self, key: int, now_s: float, server_s: float, started_s: float = -math.inf
    ) -> None:
        """Its reply is here; the server held it for ``server_s`` [s].

        :param started_s: when its first byte really left, where that is known.
        """
        transfer = self._transfers.pop(key, None)
        if transfer is None:  # it had been given up
            return
        transfer.sent_s = min(now_s, max(transfer.sent_s, started_s))
        elapsed_s = now_s - transfer.sent_s
        self._server_s = server_s = min(server_s, elapsed_s)
        if server_s < elapsed_s and not math.isnan(self._rtt.rtt_s):
            self._rtt.add(elapsed_s - server_s, now_s, idle=False)
        bits, start_s = transfer.bits, transfer.sent_s
        for earlier_key, earlier in list(self._transfers.items()):
            if earlier.sent_s <= transfer.sent_s:
                bits += earlier.bits
                start_s = min(start_s, earlier.sent_s)
                earlier.bits = 0.0
                if not earlier.expected:
                    del self._transfers[earlier_key]
        end_s = now_s - server_s - self._fixed_s()
        if start_s >= self._delivered_s and bits == transfer.bits:
            self._overhead.add(end_s, bits, end_s + self._overhead.overhead_s - start_s)
        self._busy(start_s, end_s, bits)

    def timed_out(self, key: int) -> None:
        """No reply in time: it is still on the link, for all that is known."""
        if key in self._transfers:
            self._transfers[key].expected = False

    def forgotten(self, key: int) -> None:
        """It failed in a way that says nothing about the link, and is no longer on it."""
        self._transfers.pop(key, None)

    def lost(self, now_s: float) -> None:
        """The connection is gone, and with it what was on the link, which carried none of it."""
        waiting = self._waiting(now_s)
        self._transfers.clear()
        if waiting is not None:
            self._busy(waiting.end_s - waiting.busy_s, waiting.end_s, 0.0)

    def dead(self, start_s: float, end_s: float) -> None:
        """Nothing at all got through from ``start_s`` to ``end_s``."""
        self._busy(start_s, end_s, 0.0)

    def held(self) -> None:
        """From now on the pace holds back what there is to send."""
        self._held = True

    def resumed(self, unsent_bits: float, now_s: float) -> None:
        """No longer; ``unsent_bits`` of the newest requests leave from now on."""
        self._held = False
        for transfer in reversed(self._transfers.values()):
            if unsent_bits <= 0.0:
                break
            transfer.bits = min(transfer.bits, unsent_bits)
            transfer.sent_s = now_s
            unsent_bits -= transfer.bits

    def estimate(self, now_s: float) -> CapacityEstimate:
        """Capacity and its interval [bit/s]; NaN: nothing was ever measured."""
        return self._window.estimate(self._waiting(now_s))

    def age_s(self, now_s: float) -> float:
        """Age of the newest sample [s]; inf: none."""
        return now_s - self._window.newest_s

    def expected_reply_s(self, bits: float, now_s: float) -> float:
        """When the reply to ``bits`` sent now, behind what is on the link, is due [s from now].

        0 while nothing is known, inf while the link is dead.
        """
        capacity_bps = self.estimate(now_s).mean_bps
        if math.isnan(capacity_bps):
            return 0.0
        if capacity_bps <= 0.0:
            return math.inf
        ahead_bits = sum(transfer.bits for transfer in self._transfers.values())
        done_bits = max(0.0, now_s - self._busy_since_s()) * capacity_bps
        transfer_s = (max(0.0, ahead_bits - done_bits) + bits) / capacity_bps
        return transfer_s + self._server_s + self._fixed_s()

    def _busy_since_s(self) -> float:
        oldest_s = min((t.sent_s for t in self._transfers.values()), default=math.inf)
        return max(oldest_s, self._delivered_s)

    def _waiting(self, now_s: float) -> Busy | None:
        """What is on the link, and since when, if its reply is due."""
        if not self._transfers or self._held:
            return None
        end_s = now_s - self._server_s - self._fixed_s()
        waiting_s = end_s - self._busy_since_s()
        if waiting_s <= 0.0:
            return None
        bits = sum(transfer.bits for transfer in self._transfers.values())
        return Busy(end_s, WAITING_SHARE * bits, waiting_s)

    def _fixed_s(self) -> float:
        """What a request of no size takes besides the server's time [s]."""
        rtt_s = self._rtt.rtt_s
        return self._overhead.overhead_s + (0.0 if math.isnan(rtt_s) else rtt_s)

    def _busy(self, start_s: float, end_s: float, bits: float) -> None:
        busy_s = end_s - max(start_s, self._delivered_s)
        self._delivered_s = max(self._delivered_s, end_s)
        if bits > 0.0 or busy_s > 0.0:
            self._window.add(Busy(self._delivered_s, bits, max(busy_s, RESOLUTION_S)))
