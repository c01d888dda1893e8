"""How long slots are, from when their decisions arrive."""

from __future__ import annotations

import statistics
from collections import deque

DEFAULT_S = 1.0
SHORTEST_S, LONGEST_S = 0.1, 60.0
_REMEMBERED = 5
# Decisions further apart than this say little of the length of one slot.
_MOST_SLOTS = 10


class SlotLength:
    """Median time between the last decisions; 1 s until there were two."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._lengths_s: deque[float] = deque(maxlen=_REMEMBERED)

    def decided(self, slot: int, now_s: float) -> float:
        """The decision for ``slot`` arrived; returns how long it is expected to be in force [s]."""
        last, self._last = self._last, (slot, now_s)
        if last is not None and 0 < slot - last[0] <= _MOST_SLOTS:
            length_s = (now_s - last[1]) / (slot - last[0])
            self._lengths_s.append(min(max(length_s, SHORTEST_S), LONGEST_S))
        return statistics.median(self._lengths_s) if self._lengths_s else DEFAULT_S
