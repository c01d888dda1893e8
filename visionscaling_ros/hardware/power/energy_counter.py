"""A device's own energy counter, made to grow without end."""

from __future__ import annotations

import math

BURST_S = 0.1  # a counter is updated in steps, at most this far apart


class EnergyCounter:
    """Undoes wraps, tells when the counter began anew, and makes a mean power of it.

    A counter that fell has wrapped if what that makes of it could have been drawn in the time
    that passed, and began anew (its driver was loaded again) if not. So it did too if it grew by
    more than could have been drawn, or if there was time to wrap more than once.

    :param j_per_count: unit [J].
    :param counts: how many values it has before it is 0 again; None: it never wraps.
    :param max_power_w: more is never drawn [W].
    :param period_s: the mean power is over this time at least [s].
    """

    def __init__(
        self, j_per_count: float, counts: int | None, *, max_power_w: float, period_s: float
    ) -> None:
        self._j_per_count = j_per_count
        self._counts = counts
        self._max_power_w = max_power_w
        self._period_s = period_s
        self._count: int | None = None
        self._time_s = 0.0
        self._since_s = self._since_j = 0.0  # start of the stretch of the mean power
        self.energy_j = 0.0
        self.power_w = math.nan

    def update(self, count: int, time_s: float) -> bool:
        """Take what the counter says at ``time_s``; False when it began anew since the last.

        ``energy_j`` is what it has grown by since the first update, ``power_w`` the latest mean,
        NaN as long as there is none.
        """
        grown_j = self._grown_j(count, time_s)
        if grown_j is None:
            first = self._count is None
            self._count = count
            self._time_s = self._since_s = time_s
            self._since_j = self.energy_j
            self.power_w = math.nan
            return first
        self._count, self._time_s = count, time_s
        self.energy_j += grown_j
        elapsed_s = time_s - self._since_s
        if elapsed_s >= self._period_s:
            self.power_w = (self.energy_j - self._since_j) / elapsed_s
            self._since_s, self._since_j = time_s, self.energy_j
        return True

    def _grown_j(self, count: int, time_s: float) -> float | None:
        """Energy since the last update [J]; None where it is not known."""
        if self._count is None:
            return None
        grown = count - self._count
        most_j = self._max_power_w * (time_s - self._time_s + BURST_S)
        if self._counts is not None:
            if most_j >= self._counts * self._j_per_count:
                return None
            if grown < 0:
                grown += self._counts
        grown_j = grown * self._j_per_count
        return grown_j if 0.0 <= grown_j <= most_j else None
