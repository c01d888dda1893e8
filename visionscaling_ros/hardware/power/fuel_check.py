"""Whether a battery's power agrees with how its charge goes down."""

from __future__ import annotations

from typing import NamedTuple

from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.attribute import Attribute

CHECK_PERIOD_S = 10.0
LEAST_FALL_J = 3600.0  # 1 Wh: gauges move in steps of 10 mWh and more
MAX_RATIO = 2.0
MAX_PAUSE_S = 10.0  # what was drawn in a longer one is not known
J_PER_MICRO_WH = 3.6e-3


class _Level(NamedTuple):
    """What a gauge says.

    :param amount: charge [1e-6 Ah] or, with ``volts`` 1, energy [1e-6 Wh].
    """

    amount: int
    volts: float


class FuelCheck:
    """Compares energy by power with energy by the gauge, each time that has fallen by 1 Wh.

    The gauge is too coarse to measure with, but a power that is off by more than MAX_RATIO (one
    that a driver scales wrongly, or that covers one cell only) shows. Charge is taken at the mean
    of the voltages before and after: it sags under load, whatever is left.

    :param folder: of a battery with energy_now [1e-6 Wh] or charge_now [1e-6 Ah]; without, there
        is nothing to check.
    """

    def __init__(self, files: DeviceFiles, folder: str) -> None:
        self._folder = folder
        self._factors: tuple[Attribute, ...] = ()
        for names in (('energy_now',), ('charge_now', 'voltage_now')):
            paths = [f'{folder}/{name}' for name in names]
            if all(map(files.exists, paths)):
                self._factors = tuple(Attribute(files, path) for path in paths)
                break
        self._time_s: float | None = None
        self._began = _Level(0, 0.0)
        self._checked_s = self._drawn_j = self._power_w = 0.0
        self._doubt = ''

    def update(self, time_s: float, power_w: float) -> str:
        """Take a power that was read; returns what is to be doubted, '' if nothing is.

        Raises HardwareError for a gauge that cannot be read.
        """
        if not self._factors:
            return ''
        if self._time_s is None or time_s - self._time_s > MAX_PAUSE_S:
            self._begin(time_s, self._read())
        else:
            self._drawn_j += 0.5 * (time_s - self._time_s) * (power_w + self._power_w)
        self._time_s, self._power_w = time_s, power_w
        if time_s - self._checked_s >= CHECK_PERIOD_S:
            self._compare(time_s, self._read())
        return self._doubt

    def close(self) -> None:
        """Close the files."""
        for factor in self._factors:
            factor.close()

    def _begin(self, time_s: float, level: _Level) -> None:
        self._began, self._drawn_j, self._checked_s = level, 0.0, time_s

    def _compare(self, time_s: float, level: _Level) -> None:
        self._checked_s = time_s
        mean_volts = 0.5 * (self._began.volts + level.volts)
        fallen_j = J_PER_MICRO_WH * (self._began.amount - level.amount) * mean_volts
        if fallen_j < 0.0:  # it was charged
            self._begin(time_s, level)
        elif fallen_j >= LEAST_FALL_J:
            ratio = self._drawn_j / fallen_j
            agrees = 1.0 / MAX_RATIO <= ratio <= MAX_RATIO
            self._doubt = '' if agrees else self._words(fallen_j)
            self._begin(time_s, level)

    def _words(self, fallen_j: float) -> str:
        return (
            f'{self._folder}: its power makes {self._drawn_j:.0f} J while its gauge fell by '
            f'{fallen_j:.0f} J: one of them is wrong'
        )

    def _read(self) -> _Level:
        gauge, *voltages = self._factors
        return _Level(gauge.number(), 1e-6 * voltages[0].number() if voltages else 1.0)
