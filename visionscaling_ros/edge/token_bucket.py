"""Pacing: how long to wait so that bytes leave at the decided rate."""

from __future__ import annotations

import math

from visionscaling_ros.errors import InvalidValueError

# How much idle time may be made up for: a sender that woke up late still reaches its rate.
BURST_S = 0.05


class TokenBucket:
    """A leaky bucket in bits: sending is allowed once what was sent before has been paid for.

    A message may exceed the balance (it goes into debt), so any message size works at any rate and
    the long-run rate is exact. Times are seconds of one monotonic clock, passed in by the caller.
    """

    def __init__(self, rate_bps: float = math.inf, *, now_s: float = 0.0) -> None:
        self._rate_bps = check_rate_bps(rate_bps)
        self._balance_bits = 0.0
        self._updated_s = now_s

    @property
    def rate_bps(self) -> float:
        """The ceiling in force [bit/s]; inf: none."""
        return self._rate_bps

    def set_rate_bps(self, rate_bps: float, now_s: float) -> None:
        """Change the ceiling from now on; 0 or inf: none. Debt made so far stays."""
        rate_bps = check_rate_bps(rate_bps)
        self._refill(now_s)
        self._rate_bps = rate_bps

    def wait_s(self, now_s: float) -> float:
        """How long until the next message may leave [s]; 0: now."""
        self._refill(now_s)
        return 0.0 if self._balance_bits >= 0.0 else -self._balance_bits / self._rate_bps

    def spend(self, bits: float, now_s: float) -> None:
        """Account for ``bits`` that leave now."""
        self._refill(now_s)
        if math.isfinite(self._rate_bps):
            self._balance_bits -= bits

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._updated_s)
        self._updated_s = now_s
        if math.isinf(self._rate_bps):
            self._balance_bits = 0.0
            return
        self._balance_bits += elapsed_s * self._rate_bps
        self._balance_bits = min(self._balance_bits, BURST_S * self._rate_bps)


def check_rate_bps(rate_bps: float) -> float:
    """``rate_bps`` with 0 turned into inf (both: no ceiling); raises InvalidValueError."""
    if not rate_bps >= 0.0:
        raise InvalidValueError('tx_rate_bps', rate_bps, '>= 0 bit/s; 0 or inf: unlimited')
    return rate_bps or math.inf
