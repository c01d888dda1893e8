"""Pacing: how many bits may leave, and when, so that every slot carries what was decided for it."""

from __future__ import annotations

import math

from visionscaling_ros.errors import InvalidValueError

# How much idle time may be made up for, within a slot: a sender that woke up late still reaches its
# rate.
CATCH_UP_S = 0.1
# Of that, what is carried into the next slot as a share of its length.
CARRIED = 0.01
# A slot goes on for this share of its length before the next one starts by itself: the decision
# that starts it may be late.
GRACE = 0.1
# Debt up to this share of a slot's bits is not carried into the next: the decision that starts it
# came a little early, and its slot, perhaps one of a much lower rate, must not pay for that.
FORGIVEN = 0.02


class TokenBucket:
    """A leaky bucket in bits, with slots.

    A message may start once what was sent before has been paid for. It may then leave at once and
    go into debt, but no deeper than what the rest of the slot pays back: the part beyond that waits
    for the next slot. A slot so carries ``rate_bps * slot_s`` bits or, when there is less to send,
    fewer, whatever the size of the messages. A slot that its successor keeps waiting goes on
    without any debt. Times are seconds of one monotonic clock, passed in by the caller.
    """

    def __init__(self, *, now_s: float = 0.0) -> None:
        self._rate_bps = math.inf
        self._balance_bits = 0.0
        self._updated_s = now_s
        self._slot_s = 1.0
        self._end_s = now_s + self._slot_s

    @property
    def rate_bps(self) -> float:
        """The ceiling in force [bit/s]; inf: none."""
        return self._rate_bps

    def start_slot(self, rate_bps: float, now_s: float, slot_s: float = 1.0) -> None:
        """A slot of ``slot_s`` starts, with a ceiling of its own; 0 or inf: none.

        Debt stays, except for very little. Raises InvalidValueError.
        """
        rate_bps = check_rate_bps(rate_bps)
        if not 0.0 < slot_s < math.inf:
            raise InvalidValueError('slot_s', slot_s, '> 0 s')
        self._refill(now_s)
        if self._balance_bits < 0.0:
            forgiven_bits = FORGIVEN * self._rate_bps * self._slot_s
            self._balance_bits = min(0.0, self._balance_bits + forgiven_bits)
        self._rate_bps = rate_bps
        self._slot_s = slot_s
        self._end_s = now_s + slot_s
        self._carry()

    def wait_s(self, now_s: float, announced_bits: float = 0.0) -> float:
        """How long until the next message may start [s], ``announced_bits`` going before it."""
        self._refill(now_s)
        if math.isinf(self._rate_bps):
            return 0.0
        return max(0.0, announced_bits - self._balance_bits) / self._rate_bps

    def allowed_bits(self, now_s: float) -> float:
        """How much of messages that have started may leave now."""
        self._refill(now_s)
        if math.isinf(self._rate_bps):
            return math.inf
        left_s = self._left_s(now_s)
        return max(0.0, self._balance_bits + self._rate_bps * left_s)

    def hold_s(self, bits: float, now_s: float) -> float:
        """How long until ``bits`` may leave or a slot starts that may let them [s]."""
        missing_bits = bits - self.allowed_bits(now_s)
        if missing_bits <= 0.0:
            return 0.0
        left_s = self._left_s(now_s)
        return left_s if left_s > 0.0 else missing_bits / self._rate_bps

    def finish_s(self, bits: float, now_s: float, announced_bits: float = 0.0) -> float:
        """When the last of ``bits`` that start as soon as they may has left, at this rate [s]."""
        start_s = now_s + self.wait_s(now_s, announced_bits)
        if math.isinf(self._rate_bps):
            return start_s
        slots = math.floor(max(0.0, start_s - self._end_s) / self._slot_s)
        end_s = self._end_s + slots * self._slot_s
        if end_s <= start_s:
            end_s += self._slot_s
        beyond_bits = bits - self._rate_bps * (end_s - start_s)
        if beyond_bits <= 0.0:
            return start_s
        slots = math.ceil(beyond_bits / (self._rate_bps * self._slot_s)) - 1
        return end_s + slots * self._slot_s

    def spend(self, bits: float, now_s: float) -> None:
        """Account for ``bits`` that leave now."""
        self._refill(now_s)
        if math.isfinite(self._rate_bps):
            self._balance_bits -= bits

    def _left_s(self, now_s: float) -> float:
        """What is left of the slot [s]."""
        over_s = now_s - self._end_s
        if over_s >= GRACE * self._slot_s:
            self._end_s += self._slot_s * (1.0 + math.floor(over_s / self._slot_s))
            self._carry()
        return max(0.0, self._end_s - now_s)

    def _carry(self) -> None:
        if math.isfinite(self._rate_bps):
            most_bits = CARRIED * self._slot_s * self._rate_bps
            self._balance_bits = min(self._balance_bits, most_bits)

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._updated_s)
        self._updated_s = now_s
        if math.isinf(self._rate_bps):
            self._balance_bits = 0.0
            return
        self._balance_bits += elapsed_s * self._rate_bps
        self._balance_bits = min(self._balance_bits, CATCH_UP_S * self._rate_bps)


def check_rate_bps(rate_bps: float) -> float:
    """``rate_bps`` with 0 turned into inf (both: no ceiling); raises InvalidValueError."""
    if not rate_bps >= 0.0:
        raise InvalidValueError('tx_rate_bps', rate_bps, '>= 0 bit/s; 0 or inf: unlimited')
    return rate_bps or math.inf
