"""How often each of many may do something."""

from __future__ import annotations

# Those that are remembered; more than robots and attackers at one site have addresses.
MOST_KEYS = 4096


class RateLimiter:
    """Generic cell rate algorithm: one time per key, at which its past requests are paid for.

    A second's worth may come at once. Times are seconds of one monotonic clock.
    Source: ITU-T I.371, virtual scheduling.
    """

    def __init__(self) -> None:
        self._paid_at_s: dict[str, float] = {}

    def allow(self, key: str, rate_per_s: float, now_s: float) -> bool:
        """Whether ``key`` may now, at ``rate_per_s`` on average; counts it if so."""
        paid_at_s = max(self._paid_at_s.get(key, now_s), now_s)
        interval_s = 1.0 / rate_per_s
        if paid_at_s - now_s > max(0.0, 1.0 - interval_s):
            return False
        if key not in self._paid_at_s and len(self._paid_at_s) >= MOST_KEYS:
            self._forget(now_s)
        self._paid_at_s[key] = paid_at_s + interval_s
        return True

    def _forget(self, now_s: float) -> None:
        owing = {key: at_s for key, at_s in self._paid_at_s.items() if at_s > now_s}
        # All owe: the ones that come next get in, the ones there start over.
        self._paid_at_s = owing if len(owing) < MOST_KEYS else {}
