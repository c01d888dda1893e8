"""One direction of a link: when the packets that enter it come out."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from visionscaling_ros.edge.link.link_outage import MAX_RTO_S, MIN_RTO_S
from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import InvalidValueError

# What a packet of 1500 bytes carries.
PACKET_BYTES = 1460
# So many packets after a lost one tell its sender of the loss, RFC 5681 section 3.2.
DUPLICATE_ACKS = 3
# Packets under way at most where no rate is set.
UNLIMITED_WINDOW = 256
# What waits for its turn at most: few packets, so that the sender soon feels the link, but as many
# as pass while this machine is busy elsewhere, or the rate would be missed.
QUEUED_PACKETS = 4
QUEUED_S = 0.02


@dataclass(frozen=True)
class LinkConditions:
    """What happens to packets besides waiting for their turn, in each direction.

    A TCP proxy cannot lose bytes. A lost packet is late by the time TCP takes to send it again, and
    all behind it in its connection wait for it: one round trip where three packets follow that tell
    the sender (fast retransmit, RFC 5681 section 3.2), else the retransmission timeout, a round
    trip and at least 0.2 s (RFC 6298 with Linux's minimum), doubled each time the retransmission
    is lost too. It takes its share of the capacity each time. The congestion window is not
    modelled: the rate falls by what is sent twice and while packets wait, not by half at each loss.

    :param delay_s: one way [s]; a round trip takes twice as long.
    :param jitter_s: added to or taken from the delay of each packet, uniform [s]; packets of a
        connection stay in order, so one that is late delays those behind it.
    :param loss: probability that a packet is lost, 0 <= loss < 1.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        """Raise InvalidValueError."""
        for name in ('delay_s', 'jitter_s'):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise InvalidValueError(name, value, 'a finite number >= 0 [s]')
        if not 0.0 <= self.loss < 1.0:
            raise InvalidValueError('loss', self.loss, 'at least 0 and below 1')

    @property
    def round_trip_s(self) -> float:
        """Both ways, without waiting [s]."""
        return 2.0 * self.delay_s

    @property
    def rto_s(self) -> float:
        """Retransmission timeout: smoothed round trip and four deviations, RFC 6298 [s]."""
        return self.round_trip_s + max(MIN_RTO_S, 4.0 * self.jitter_s)


class LinkPath:
    """A rate over time and conditions, shared by all connections. Times: seconds since the start.

    :param trace: None for no limit.
    """

    def __init__(
        self, trace: LinkTrace | None, conditions: LinkConditions, chance: random.Random
    ) -> None:
        self._trace = trace
        self._conditions = conditions
        self._chance = chance
        self._busy_until_s = 0.0

    @property
    def queue_packets(self) -> int:
        """Packets of one connection that may wait for their turn."""
        if self._trace is None:
            return QUEUED_PACKETS
        return max(QUEUED_PACKETS, self._packets_in(QUEUED_S))

    @property
    def window_packets(self) -> int:
        """Packets of one connection that may be under way: two round trips' worth at peak rate."""
        if self._trace is None:
            return UNLIMITED_WINDOW
        longest_s = 2.0 * self._conditions.round_trip_s + self._conditions.jitter_s
        return 1 + self._packets_in(longest_s)

    def carry(self, offered_s: float, size_bytes: int) -> float:
        """Take ``size_bytes`` next; when the last of them has left [s], inf if never."""
        start_s = max(self._busy_until_s, offered_s)
        if self._trace is None:
            return start_s
        self._busy_until_s = self._trace.finish_s(start_s, 8.0 * size_bytes)
        return self._busy_until_s

    def arrival_s(self, left_s: float, size_bytes: int, following: int) -> float:
        """When a packet that left at ``left_s`` arrives [s], sent again until it does.

        :param following: packets of its connection that leave right after it.
        """
        conditions = self._conditions
        jitter_s = conditions.jitter_s * self._chance.uniform(-1.0, 1.0)
        arrival_s = left_s + max(0.0, conditions.delay_s + jitter_s)
        told = following >= DUPLICATE_ACKS
        timeout_s = conditions.rto_s
        while self._chance.random() < conditions.loss:
            self.carry(left_s, size_bytes)
            arrival_s += conditions.round_trip_s if told else timeout_s
            timeout_s = timeout_s if told else min(2.0 * timeout_s, MAX_RTO_S)
            told = False
        return arrival_s

    def _packets_in(self, seconds: float) -> int:
        assert self._trace is not None
        return math.ceil(self._trace.peak_bps * seconds / (8.0 * PACKET_BYTES))
