"""How many of the requests lately got no answer in time."""

from __future__ import annotations

import math
from collections import deque

# Requests that ended this long ago no longer count.
WINDOW_S = 10.0
# 90 % quantile of the normal distribution.
_DEVIATIONS = 1.2816


class LossEstimator:
    """Share of lost requests with an upper bound. Not thread-safe."""

    def __init__(self) -> None:
        self._ends: deque[tuple[float, bool]] = deque()

    def add(self, *, lost: bool, now_s: float) -> None:
        """A request ended, with an answer or ``lost``."""
        self._ends.append((now_s, lost))

    def estimate(self, now_s: float) -> tuple[float, float]:
        """(share, what it is below with 90 % probability), 0 to 1; NaN: no request lately.

        The bound is Wilson's: Probable inference, the law of succession, and statistical inference,
        J. Am. Stat. Assoc. 22 (1927), p. 209.
        """
        while self._ends and self._ends[0][0] < now_s - WINDOW_S:
            self._ends.popleft()
        count = len(self._ends)
        if count == 0:
            return math.nan, math.nan
        share = sum(lost for _, lost in self._ends) / count
        z2 = _DEVIATIONS**2
        centre = share + z2 / (2 * count)
        spread = _DEVIATIONS * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
        bound = (centre + spread) / (1 + z2 / count)
        return share, min(1.0, max(share, bound))  # rounding may put it a hair below
