"""What a campaign needs of a robot's graph, whoever speaks to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class ClockDriver(Protocol):
    """Plays the controller of a robot whose clock is set. Times: monotonic clock [s]."""

    def decide(self, frequencies_hz: Sequence[float], *, holding: bool = False) -> None:
        """Publish decisions for these at random, all the time from now on; 0 among them.

        :param holding: no 0 among them: once set, the clock is not left alone any more.
        """

    def rest(self) -> None:
        """Decide once to leave the clock alone, and nothing from then on."""

    def wait_for_state(self, after_s: float, timeout_s: float) -> bool:
        """Until a gpu_state came after ``after_s``; whether one did in time."""
