"""The time of a bag while it is played."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FOREVER_NS = 2**63 - 1


class PlaybackClock:
    """Runs ``rate`` times as fast as the monotonic clock, and never past a message to come.

    :param monotonic_s: the clock to run by [s].
    """

    def __init__(self, rate: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._begin_ns = 0
        self._began_s: float | None = None  # it stands still before
        self._limit_ns = FOREVER_NS
        self._told_ns = 0

    def set(self, begin_ns: int) -> None:
        """Stand still at a time; the only way to go back."""
        with self._lock:
            self._begin_ns = self._told_ns = begin_ns
            self._began_s = None
            self._limit_ns = FOREVER_NS

    def run(self) -> None:
        """Run from there on."""
        with self._lock:
            self._began_s = self._monotonic_s()

    def wait_s(self, log_ns: int) -> float:
        """How long until it is a message's turn [s]; below 0: that it is late by.

        From here on the clock stops at that message until the next one is asked for.
        """
        with self._lock:
            assert self._began_s is not None
            self._limit_ns = log_ns
            due_s = self._began_s + (log_ns - self._begin_ns) / 1e9 / self._rate
            return due_s - self._monotonic_s()

    def now_ns(self) -> int:
        """The bag's time [ns]."""
        with self._lock:
            if self._began_s is not None:
                passed_s = self._monotonic_s() - self._began_s
                now_ns = self._begin_ns + round(passed_s * self._rate * 1e9)
                self._told_ns = max(self._told_ns, min(now_ns, self._limit_ns))
            return self._told_ns
