"""The power monitors on a Jetson's module."""

from __future__ import annotations

import math
import time

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.ina3221_rails import find_rails, update_period_s
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope
from visionscaling_ros.hardware.power.rail_layouts import layout_of

# A conversion takes 1.1 ms by default, of shunt and bus voltage of three channels: 6.6 ms
# (datasheet of the INA3221, register 0x00); drivers that tell their interval are asked.
DEFAULT_PERIOD_S = 0.01


class Ina3221Meter(PowerMeter):
    """Rails of a Jetson: total, GPU, CPU and others.

    The total is what the module takes, on most boards without the carrier and what hangs on it
    (see rail_layouts.py). Raises HardwareError where there are no monitors, and for rails of a
    board whose total is not known: their sum could count a supply twice.
    """

    name = 'ina3221'
    scope = Scope.BOARD

    def __init__(self, files: DeviceFiles) -> None:
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
        self.device = f'INA3221 of {layout.boards}, {layout.covers}'
        period_s = update_period_s(files, self._rails)
        self.period_s = DEFAULT_PERIOD_S if math.isnan(period_s) else period_s

    @property
    def rails(self) -> tuple[str, ...]:
        """Their names as the board's maker has them."""
        return tuple(rail.name for rail in self._rails)

    @property
    def total_rails(self) -> tuple[str, ...]:
        """As the layout says."""
        return self.layout.total

    def read(self) -> PowerSample:
        """Power of every rail; one that is unreadable, negative or absurd is absent."""
        power_w: dict[str, float] = {}
        trouble: dict[str, str] = {}
        for rail in self._rails:
            try:
                power_w[rail.name] = rail.power_w()
            except HardwareError as error:
                trouble[rail.name] = str(error)
        if trouble and not any(rail in power_w for rail in self.layout.total):
            raise HardwareError('; '.join(trouble[rail] for rail in self.layout.total))
        return PowerSample(time.monotonic(), power_w, trouble=trouble)

    def close(self) -> None:
        """Close the files."""
        for rail in self._rails:
            for factor in rail.factors:
                factor.close()
