"""What a request costs beyond the round trip of an empty one and the time its bits take."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

# Pairs of transfers looked at, and how many there have to be.
_PAIRS = 200
_FEWEST = 20
# Two transfers this close in time met the same link.
_TOGETHER_S = 0.3
# Sizes that differ by less tell nothing.
_LEAST_DIFFERENCE = 0.1
# More than this is not the ends' work but the link's.
LONGEST_S = 0.01


class _Transfer(NamedTuple):
    end_s: float
    bits: float
    busy_s: float


class OverheadEstimator:
    """Learns it from requests of different size one after the other.

    Both took ``overhead + bits / capacity``, so the line through the two meets 0 bits at the
    overhead; the median of many such lines is not moved by a capacity that changes in between. As
    long as all requests are of one size it is taken to be 0. Not thread-safe.
    """

    def __init__(self) -> None:
        self._last: _Transfer | None = None
        self._pairs: deque[tuple[float, float]] = deque(maxlen=_PAIRS)  # (overhead [s], weight)
        self._overhead_s = 0.0

    @property
    def overhead_s(self) -> float:
        """The estimate [s]."""
        return self._overhead_s

    def add(self, end_s: float, bits: float, busy_s: float) -> None:
        """``bits`` on an idle link took ``busy_s`` [s] beyond the round trip."""
        last, self._last = self._last, _Transfer(end_s, bits, busy_s)
        if last is None or end_s - last.end_s > _TOGETHER_S:
            return
        weight = abs(bits - last.bits) / (bits + last.bits)
        if weight < _LEAST_DIFFERENCE:
            return
        crossing_s = (last.busy_s * bits - busy_s * last.bits) / (bits - last.bits)
        self._pairs.append((crossing_s, weight))
        if len(self._pairs) >= _FEWEST:
            self._overhead_s = min(max(0.0, self._median_s()), LONGEST_S)

    def _median_s(self) -> float:
        half = 0.5 * sum(weight for _, weight in self._pairs)
        passed = 0.0
        for overhead_s, weight in sorted(self._pairs):
            passed += weight
            if passed >= half:
                return overhead_s
        return 0.0
