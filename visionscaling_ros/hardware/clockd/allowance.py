"""How much the users of the helper may ask of it."""

from __future__ import annotations

from collections.abc import Collection, Hashable


class Allowances:
    """A bucket of tokens a user, which refills with time. One in debt waits.

    :param rate_hz: tokens a second.
    :param burst: tokens a bucket holds at most, and at first.
    """

    def __init__(self, rate_hz: float, burst: float) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._full_s: dict[Hashable, float] = {}  # when each bucket is full (monotonic clock)
        self._paused_until_s: dict[Hashable, float] = {}

    def spend(self, user: Hashable, tokens: float, now_s: float, sharers: int) -> None:
        """Take tokens; when the last is gone, all wait until there is one for each sharer."""
        full_s = max(now_s, self._full_s.get(user, now_s)) + tokens / self._rate_hz
        self._full_s[user] = full_s
        if self._tokens(full_s, now_s) < 1.0:
            wanted = min(float(sharers), self._burst)
            self._paused_until_s[user] = full_s - (self._burst - wanted) / self._rate_hz

    def paused_until_s(self, user: Hashable) -> float:
        """Until when this one waits (monotonic clock); 0 if he never had to."""
        return self._paused_until_s.get(user, 0.0)

    def forget(self, present: Collection[Hashable], now_s: float) -> None:
        """Forget those that are gone and whose bucket is full: a new one would be the same."""
        for user in [u for u, full_s in self._full_s.items() if full_s <= now_s]:
            if user not in present:
                del self._full_s[user]
                self._paused_until_s.pop(user, None)

    def __len__(self) -> int:
        return len(self._full_s)

    def _tokens(self, full_s: float, now_s: float) -> float:
        return self._burst - max(0.0, full_s - now_s) * self._rate_hz
