"""The round trip of a link that has nothing else to do."""

from __future__ import annotations

import math
from collections import deque

# Round trips of this long are looked at; a few older ones stay as long as there are no newer.
WINDOW_S = 20.0
_FEWEST = 5
# What counts as undisturbed: up to this many times the smallest plus so much.
_NEAR_FACTOR = 2.0
_NEAR_S = 0.002
# A round trip behind frames is only an upper bound; one this much below the smallest says that the
# link has become quicker.
_QUICKER = 0.8


class RttEstimator:
    """Mean of the undisturbed round trips lately. Not thread-safe."""

    def __init__(self) -> None:
        self._rtts: deque[tuple[float, float]] = deque()

    def add(self, rtt_s: float, now_s: float, *, idle: bool) -> None:
        """A round trip took ``rtt_s``, on an ``idle`` link or behind frames."""
        if not idle and not rtt_s < _QUICKER * self._smallest_s(math.inf):
            return
        self._rtts.append((now_s, rtt_s))
        while len(self._rtts) > _FEWEST and self._rtts[0][0] < now_s - WINDOW_S:
            self._rtts.popleft()

    @property
    def rtt_s(self) -> float:
        """The estimate [s]; NaN: none yet. The mean, as what is subtracted with it is noisy too."""
        bound_s = _NEAR_FACTOR * self._smallest_s(math.nan) + _NEAR_S
        near_s = [rtt_s for _, rtt_s in self._rtts if rtt_s <= bound_s]
        return sum(near_s) / len(near_s) if near_s else math.nan

    @property
    def deviation_s(self) -> float:
        """Mean deviation of all round trips lately from the estimate [s]; NaN: none yet."""
        if not self._rtts:
            return math.nan
        rtt_s = self.rtt_s
        return sum(abs(sample_s - rtt_s) for _, sample_s in self._rtts) / len(self._rtts)

    def _smallest_s(self, default_s: float) -> float:
        return min((rtt_s for _, rtt_s in self._rtts), default=default_s)
