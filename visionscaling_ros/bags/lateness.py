"""How late messages were published."""

from __future__ import annotations

import random

import numpy as np

KEPT = 100_000  # of more, a random choice: percentiles of an endless loop in bounded memory


class Lateness:
    """Delays of publications behind their turn."""

    def __init__(self) -> None:
        self._values_s: list[float] = []
        self._seen = 0
        self._max_s = 0.0
        self._random = random.Random(0)

    def add(self, late_s: float) -> None:
        """Count a message; one before its turn is not late."""
        late_s = max(0.0, late_s)
        self._seen += 1
        self._max_s = max(self._max_s, late_s)
        if len(self._values_s) < KEPT:
            self._values_s.append(late_s)
        elif (place := self._random.randrange(self._seen)) < KEPT:
            self._values_s[place] = late_s

    def summary(self) -> dict[str, float]:
        """p50, p95 and maximum [ms]; empty before the first message."""
        if not self._seen:
            return {}
        p50_s, p95_s = np.percentile(self._values_s, (50, 95))
        return {'p50': 1e3 * float(p50_s), 'p95': 1e3 * float(p95_s), 'max': 1e3 * self._max_s}
