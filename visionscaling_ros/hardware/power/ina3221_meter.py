"""The power monitors on a Jetson's module."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.ina3221_rails import Rail, find_rails, update_period_s
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope
from visionscaling_ros.hardware.power.rail_layouts import layout_of

# A conversion takes 1.1 ms by default, of shunt and bus voltage of three channels: 6.6 ms
# (datasheet of the INA3221, register 0x00). Slower monitors are read as often as their driver
# says; faster ones no more often, which would cost more than it tells.
LEAST_PERIOD_S = 0.01
OTHERS_PERIOD_S = 0.1  # of the rails outside the total: people look at them, energy does not


class Ina3221Meter(PowerMeter):
    """Rails of a Jetson: total, GPU, CPU and others.

    The total is what the module takes, on most boards without the carrier and what hangs on it
    (see rail_layouts.py). Raises HardwareError where there are no monitors, and for rails of a
    board whose total is not known: their sum could count a supply twice.

    :param now_s: monotonic clock.
    """

    name = 'ina3221'
    scope = Scope.BOARD

    def __init__(self, files: DeviceFiles, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._rails = find_rails(files)
        if not self._rails:
            raise HardwareError(
                'no INA3221 power monitor under /sys/bus/i2c/drivers/ina3221*: not a Jetson, or '
                'one without monitors'
            )
        layout = layout_of(self.rails)
        if layout is None:
            raise HardwareError(
                f'the power rails {", ".join(self.rails)} are those of no board known here, so '
                'that what they add up to is not known'
            )
        self.layout = layout
        self.covers_radio = layout.covers_radio
        self.device = f'INA3221 of {layout.boards}'
        self.period_s = max(LEAST_PERIOD_S, update_period_s(files, self._rails))
        self._counted = tuple(rail for rail in self._rails if rail.name in layout.total)
        self._others = tuple(rail for rail in self._rails if rail.name not in layout.total)
        self._others_read: tuple[dict[str, float], dict[str, str]] = ({}, {})
        self._others_due_s = -math.inf

    @property
    def covers(self) -> str:
        """As the layout says."""
        return self.layout.covers

    @property
    def rails(self) -> tuple[str, ...]:
        """Their names as the board's maker has them."""
        return tuple(rail.name for rail in self._rails)

    @property
    def total_rails(self) -> tuple[str, ...]:
        """As the layout says."""
        return self.layout.total

    def read(self) -> PowerSample:
        """Power of every rail; one that is unreadable, negative or absurd is absent.

        Rails outside the total are read every OTHERS_PERIOD_S only.
        """
        power_w, trouble = _read(self._counted)
        if not power_w:
            raise HardwareError('; '.join(trouble.values()))
        time_s = self._now_s()
        if time_s >= self._others_due_s:
            self._others_read = _read(self._others)
            self._others_due_s = time_s + OTHERS_PERIOD_S
        others_w, others_trouble = self._others_read
        return PowerSample(time_s, power_w | others_w, trouble=trouble | others_trouble)

    def close(self) -> None:
        """Close the files."""
        for rail in self._rails:
            for factor in rail.factors:
                factor.close()


def _read(rails: Iterable[Rail]) -> tuple[dict[str, float], dict[str, str]]:
    """Power [W] of rails, and what is wrong with others of them."""
    power_w: dict[str, float] = {}
    trouble: dict[str, str] = {}
    for rail in rails:
        try:
            power_w[rail.name] = rail.power_w()
        except HardwareError as error:
            trouble[rail.name] = str(error)
    return power_w, trouble
