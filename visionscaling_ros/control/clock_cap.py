"""The highest GPU clock to plan with, below what the device offers where it must be."""

from __future__ import annotations

import math
from bisect import bisect_right

COOLER_C = 3.0  # below the limit by this much it counts as cooler
COOL_SLOTS = 5  # so many cooler slots raise the cap by a level
PROBE_SLOTS = 10  # so many slots after the device held back, a level more is tried
_MISSES = 2  # so many slots below the clock decided mean that the device holds it back
_REACHED = 0.99  # of the clock decided; rounding aside


class ClockCap:
    """Index of the highest clock level allowed, from temperature and from what was achieved.

    Too warm: a level lower every slot, counted from the clock in use. Cooler by 3 degC: a level
    higher every fifth slot. A board that runs below the clock decided for two slots holds it back
    itself (thermal or power limit): nothing above what it achieved is planned, but for a level
    more every tenth slot to see whether it is over; once a level was reached, the next is tried
    at once.

    :param levels_hz: the levels there are, ascending [Hz], not empty.
    :ivar level: the highest that is allowed.
    """

    def __init__(self, levels_hz: tuple[float, ...]) -> None:
        self._levels_hz = levels_hz
        self._top = self._thermal = self._achieved = self.level = len(levels_hz) - 1
        self._cool_slots = 0
        self._misses = 0
        self._held_slots = 0
        self._probing = False

    def observe(
        self, temperature_c: float, limit_c: float, frequency_hz: float, decided_hz: float
    ) -> None:
        """Take in a slot; figures that are not finite change nothing.

        :param temperature_c: of the GPU [degC].
        :param limit_c: temperature it is to stay below [degC]; 0: none.
        :param frequency_hz: clock it ran at [Hz].
        :param decided_hz: clock it was to run at [Hz]; 0: none.
        """
        if limit_c <= 0.0:
            self._thermal = self._top
        elif temperature_c >= limit_c or temperature_c > limit_c - COOLER_C:
            self._cool_slots = 0
            if limit_c <= temperature_c < math.inf:
                in_use = self._level_of(frequency_hz) if frequency_hz > 0.0 else self._top
                self._thermal = max(min(self._thermal, in_use) - 1, 0)
        elif self._thermal < self._top and temperature_c > -math.inf:
            self._cool_slots += 1
            if self._cool_slots >= COOL_SLOTS:
                self._cool_slots = 0
                self._thermal += 1
        if 0.0 < frequency_hz < math.inf and 0.0 < decided_hz < math.inf:
            self._compare(frequency_hz, decided_hz)
        self.level = min(self._thermal, self._achieved)

    def _compare(self, frequency_hz: float, decided_hz: float) -> None:
        if frequency_hz < _REACHED * decided_hz:
            self._misses += 1
            if self._misses >= _MISSES or self._achieved < self._top:
                self._achieved = self._level_of(frequency_hz)
                self._held_slots = 0
                self._probing = False
            return
        self._misses = 0
        if self._achieved == self._top:
            return
        self._held_slots += 1
        reached = self._probing and frequency_hz >= _REACHED * self._levels_hz[self._achieved]
        if reached or self._held_slots >= PROBE_SLOTS:
            self._achieved += 1
            self._held_slots = 0
            self._probing = True

    def _level_of(self, frequency_hz: float) -> int:
        """The highest level not above a clock; the lowest if all are."""
        return max(bisect_right(self._levels_hz, frequency_hz / _REACHED) - 1, 0)
