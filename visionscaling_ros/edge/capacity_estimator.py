"""Estimates an uplink's capacity from the requests that went over it anyway."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

# Samples this much older than the newest no longer count.
WINDOW_S = 2.0
# A transfer cannot be timed more finely than this from a user-space process: on a faster link the
# estimate is the lower bound it implies.
RESOLUTION_S = 0.002
# The smallest round trip of this long is taken as the link's own.
RTT_WINDOW_S = 20.0
# How much of a timed-out request is taken to have got through: anything from nothing to nearly all.
TIMED_OUT_SHARE = 0.5


@dataclass(frozen=True)
class _Transfer:
    sent_s: float
    bits: float


@dataclass(frozen=True)
class _Sample:
    at_s: float
    bits: float
    busy_s: float


class CapacityEstimator:
    """Bits delivered per second during which the link was busy, over the last seconds.

    The link delivers in order, so a request that took from ``sent_s`` to ``replied_s`` occupied it
    from the later of its start and the previous delivery, until its reply minus the server's share
    of the time and the round trip of an empty request. Adding up bits and busy time instead of
    averaging single rates stays right when several requests share the link. While the oldest
    request waits, what is in flight over its waiting time bounds the capacity from above, so
    the estimate falls before anything times out. Not thread-safe; times are of one monotonic clock.
    """

    def __init__(self) -> None:
        self._in_flight: dict[int, _Transfer] = {}
        self._samples: deque[_Sample] = deque()
        self._rtts: deque[tuple[float, float]] = deque()
        self._delivered_s = -math.inf  # until when the link is known to have been busy
        self._server_s = 0.0  # what the server took lately

    @property
    def rtt_s(self) -> float:
        """Smallest round trip of an empty request lately [s]; NaN: none yet."""
        return min((rtt_s for _, rtt_s in self._rtts), default=math.nan)

    def rtt_measured(self, rtt_s: float, now_s: float, *, idle: bool = True) -> None:
        """An empty request took ``rtt_s`` [s].

        Behind frames, not ``idle``, it is only an upper bound: it counts if it is a better one.
        """
        if not idle and rtt_s >= self.rtt_s:
            return
        self._rtts.append((now_s, rtt_s))
        while self._rtts[0][0] < now_s - RTT_WINDOW_S:
            self._rtts.popleft()

    def sent(self, key: int, bits: float, now_s: float) -> None:
        """A request of ``bits`` starts."""
        self._in_flight[key] = _Transfer(now_s, bits)

    def answered(self, key: int, now_s: float, server_s: float) -> None:
        """Its reply is here; the server says it held it for ``server_s`` [s]."""
        transfer = self._in_flight.pop(key)
        self._server_s = server_s
        self._add(transfer, now_s - server_s - self._rtt_or_zero_s(), transfer.bits)

    def timed_out(self, key: int, now_s: float) -> None:
        """No reply in time: the link was busy with it at least until now."""
        transfer = self._in_flight.pop(key)
        self._add(transfer, now_s, TIMED_OUT_SHARE * transfer.bits)

    def forgotten(self, key: int) -> None:
        """It failed in a way that says nothing about the link."""
        self._in_flight.pop(key)

    def capacity_bps(self, now_s: float) -> float:
        """The estimate [bit/s]; NaN: nothing was ever measured."""
        bits = sum(sample.bits for sample in self._samples)
        busy_s = sum(max(sample.busy_s, RESOLUTION_S) for sample in self._samples)
        measured_bps = bits / busy_s if self._samples else math.nan
        waiting_s = self._waiting_s(now_s)
        if waiting_s <= 0.0 or not self._samples:
            return measured_bps
        in_flight_bits = sum(transfer.bits for transfer in self._in_flight.values())
        return min(measured_bps, in_flight_bits / waiting_s)

    def age_s(self, now_s: float) -> float:
        """Age of the newest sample [s]; inf: none."""
        return now_s - self._samples[-1].at_s if self._samples else math.inf

    def expected_reply_s(self, bits: float, now_s: float) -> float:
        """When the reply to ``bits`` sent now, behind what is in flight, is due [s from now].

        0 while nothing is known.
        """
        capacity_bps = self.capacity_bps(now_s)
        if not capacity_bps > 0.0:
            return 0.0
        ahead_bits = sum(transfer.bits for transfer in self._in_flight.values())
        done_bits = max(0.0, now_s - self._busy_since_s()) * capacity_bps
        transfer_s = (max(0.0, ahead_bits - done_bits) + bits) / capacity_bps
        return transfer_s + self._server_s + self._rtt_or_zero_s()

    def _busy_since_s(self) -> float:
        oldest_s = min((t.sent_s for t in self._in_flight.values()), default=math.inf)
        return max(oldest_s, self._delivered_s)

    def _waiting_s(self, now_s: float) -> float:
        return now_s - self._busy_since_s() - self._rtt_or_zero_s() - self._server_s

    def _rtt_or_zero_s(self) -> float:
        return min((rtt_s for _, rtt_s in self._rtts), default=0.0)

    def _add(self, transfer: _Transfer, delivered_s: float, bits: float) -> None:
        busy_s = max(0.0, delivered_s - max(transfer.sent_s, self._delivered_s))
        self._delivered_s = max(self._delivered_s, delivered_s)
        self._samples.append(_Sample(delivered_s, bits, busy_s))
        while self._samples[0].at_s < delivered_s - WINDOW_S:
            self._samples.popleft()
