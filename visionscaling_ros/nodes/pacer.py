"""Turns at a steady rate."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

EARLY_TURNS = 0.25


class Pacer:
    """Lets one thread through at a rate, on a grid that does not drift.

    Whoever comes late to one turn or more waits for the next on the grid: turns are skipped, never
    made up for in a burst.

    :param rate_hz: turns a second; 0: no waiting.
    :param now_s: monotonic clock.
    """

    def __init__(self, rate_hz: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        self._now_s = now_s
        self._rate_hz = rate_hz
        self._last_s = -math.inf
        self._closed = False
        self.skipped = 0

    def set_rate(self, rate_hz: float) -> None:
        """Another rate, from the turn waited for on."""
        with self._changed:
            self._rate_hz = rate_hz
            self._changed.notify_all()

    def close(self) -> None:
        """End all waiting for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self) -> bool:
        """Wait for the next turn; False once closed."""
        with self._changed:
            while not self._closed and (left_s := self._due_s() - self._now_s()) > 0.0:
                self._changed.wait(left_s)
            self._take_turn()
            return not self._closed

    def due(self) -> bool:
        """Take the next turn if it has come or nearly has, without waiting.

        Nearly, because whoever comes at about this rate by a clock of his own would else be sent
        away for being early by a hair, and be late the next time.
        """
        with self._changed:
            early_s = EARLY_TURNS / self._rate_hz if self._rate_hz > 0.0 else 0.0
            come = self._due_s() <= self._now_s() + early_s
            if come:
                self._take_turn()
            return come

    def pause(self, duration_s: float) -> bool:
        """Wait for a time; False once closed."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closed, duration_s)

    def _due_s(self) -> float:
        return self._last_s + 1.0 / self._rate_hz if self._rate_hz > 0.0 else -math.inf

    def _take_turn(self) -> None:
        now_s, due_s = self._now_s(), self._due_s()
        if math.isinf(due_s):
            self._last_s = now_s
            return
        late = max(0, math.floor((now_s - due_s) * self._rate_hz))
        self.skipped += late
        self._last_s = due_s + late / self._rate_hz
