"""Energy out of samples of power, with the time that was not measured told apart."""

from __future__ import annotations

from collections.abc import Sequence

from visionscaling_ros.hardware.power.power_meter import PowerSample

MAX_PERIODS = 3.0  # samples further apart do not tell what was drawn in between


class EnergyIntegrator:
    """Adds up what a meter's total rails drew.

    Between two samples it takes what the device itself counted; where it does not count, the
    trapezoid below the two powers. A stretch is a gap, and nothing is put in its place, where a
    counter began anew, where a total rail was not read for longer than MAX_PERIODS, and where
    samples without counters lie further apart than that.

    :param total_rails: rails whose sum is the energy.
    :param period_s: how often a sample is expected [s].
    """

    def __init__(self, total_rails: Sequence[str], period_s: float) -> None:
        self._rails = tuple(total_rails)
        self._longest_s = MAX_PERIODS * period_s
        self._time_s: float | None = None  # up to here all is accounted for
        self._last: PowerSample | None = None  # the sample at that time; none after a gap
        self.in_gap = False
        self.energy_j = 0.0
        self.measured_s = 0.0
        self.gap_s = 0.0
        self.gaps = 0

    def add(self, sample: PowerSample) -> None:
        """Take the next sample; one that lacks a total rail is as good as none."""
        for rail in self._rails:
            if rail not in sample.energy_j and rail not in sample.power_w:
                if self._restarted(sample):
                    self._last = None  # what comes next cannot be compared with it
                self.miss(sample.time_s)
                return
        if self._time_s is not None:
            energy_j = self._between(self._last, sample)
            if energy_j is None:
                self._lose(sample.time_s - self._time_s)
            else:
                self.energy_j += energy_j
                self.measured_s += sample.time_s - self._time_s
                self.in_gap = False
        self._time_s, self._last = sample.time_s, sample

    def miss(self, time_s: float) -> None:
        """Nothing could be read at ``time_s`` (monotonic clock)."""
        if self._time_s is None:
            self._time_s = time_s
        elif self._last is None or time_s - self._time_s > self._longest_s:
            self._lose(time_s - self._time_s)
            self._time_s, self._last = time_s, None

    def overdue_s(self, now_s: float) -> float:
        """Time since the latest sample or failure [s], where it is more than MAX_PERIODS; else 0.

        It is unknown, and in neither sum until the next sample or failure says which it belongs to.
        """
        waited_s = 0.0 if self._time_s is None else now_s - self._time_s
        return waited_s if waited_s > self._longest_s else 0.0

    def _lose(self, elapsed_s: float) -> None:
        self.gap_s += elapsed_s
        self.gaps += not self.in_gap
        self.in_gap = True

    def _restarted(self, sample: PowerSample) -> bool:
        return bool(sample.restarted) and not sample.restarted.isdisjoint(self._rails)

    def _between(self, first: PowerSample | None, last: PowerSample) -> float | None:
        """Energy from one sample to the next [J]; None where it is not known."""
        if first is None or self._restarted(last):
            return None
        elapsed_s = last.time_s - first.time_s
        energy_j = 0.0
        for rail in self._rails:
            if rail in first.energy_j and rail in last.energy_j:
                energy_j += last.energy_j[rail] - first.energy_j[rail]
            elif rail in first.power_w and rail in last.power_w and elapsed_s <= self._longest_s:
                energy_j += 0.5 * elapsed_s * (first.power_w[rail] + last.power_w[rail])
            else:
                return None
        return energy_j
