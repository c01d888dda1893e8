"""Times in which a link passes nothing, and when a TCP connection goes on after one."""

from __future__ import annotations

import math

from visionscaling_ros.errors import InvalidValueError

# Linux's floor of the retransmission timeout (TCP_RTO_MIN); RFC 6298 section 2.4 asks for 1 s.
MIN_RTO_S = 0.2
# Linux's ceiling (TCP_RTO_MAX); RFC 6298 section 2.5 allows any of at least 60 s.
MAX_RTO_S = 120.0
# Retransmission timeout of a connection's first packet, RFC 6298 section 2.1.
SYN_RTO_S = 1.0


class Outage:
    """The latest time in which nothing passes; times are seconds on one clock.

    A *stall* keeps packets back: they go on when it ends, as in the queue of a base station. In a
    *dead* time packets are lost: a connection goes on with the first retransmission after its end.
    Outages that overlap become one, dead if one of them is.
    """

    def __init__(self) -> None:
        self._since_s = self._until_s = -math.inf
        self._dead = False

    def stall(self, now_s: float, seconds: float) -> None:
        """Keep everything back for ``seconds`` from now on."""
        self._begin(now_s, seconds, dead=False)

    def die(self, now_s: float, seconds: float) -> None:
        """Lose everything for ``seconds`` from now on."""
        self._begin(now_s, seconds, dead=True)

    def is_on(self, now_s: float) -> bool:
        """Whether nothing passes."""
        return now_s < self._until_s

    def resumes_s(self, offered_s: float, now_s: float, rto_s: float) -> float:
        """When a packet passes that a connection offered at ``offered_s`` and that still waits.

        :param rto_s: the connection's retransmission timeout.
        """
        if not self.is_on(now_s):
            return now_s
        if not self._dead:
            return self._until_s
        return retransmitted_s(max(offered_s, self._since_s), self._until_s, rto_s)

    def _begin(self, now_s: float, seconds: float, *, dead: bool) -> None:
        if not 0.0 <= seconds < math.inf:
            raise InvalidValueError('outage seconds', seconds, 'a finite number >= 0')
        overlaps = self.is_on(now_s)
        self._dead = dead or (overlaps and self._dead)
        self._since_s = self._since_s if overlaps else now_s
        self._until_s = max(self._until_s, now_s + seconds)


def retransmitted_s(sent_s: float, until_s: float, rto_s: float) -> float:
    """When the first retransmission at ``until_s`` or later of a packet sent at ``sent_s`` leaves.

    The timeout doubles each time (RFC 6298 section 5.5), up to MAX_RTO_S.
    """
    while sent_s < until_s:
        sent_s += rto_s
        rto_s = min(2.0 * rto_s, MAX_RTO_S)
    return sent_s
