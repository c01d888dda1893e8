"""The battery a robot's computer runs on."""

from __future__ import annotations

import time

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.attribute import Attribute, word
from visionscaling_ros.hardware.power.fuel_check import FuelCheck
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope

SUPPLIES = '/sys/class/power_supply'
MAX_POWER_W = 10_000.0
PERIOD_S = 1.0  # ACPI batteries are asked at most so often (Linux drivers/acpi/battery.c)
DISCHARGING = 'Discharging'
CHARGING = 'Charging'


class Battery:
    """One battery.

    :param folder: of its attributes, which are in 1e-6 V, A, W, Wh and Ah
        (kernel.org/doc/Documentation/ABI/testing/sysfs-class-power).
    """

    def __init__(self, files: DeviceFiles, folder: str) -> None:
        self.name = folder.rpartition('/')[2]
        self.folder = folder
        self._status = Attribute(files, f'{folder}/status')
        self._factors, self._unit_w = _power_of(files, folder)
        self.check = FuelCheck(files, folder)

    def status(self) -> str:
        """As the kernel has it, for example ``Discharging``; raises HardwareError."""
        return self._status.text()

    def power_w(self) -> float:
        """Power in or out [W]: drivers do not agree on the sign; raises HardwareError."""
        if not self._factors:
            raise HardwareError(f'{self.folder} has neither power_now nor current_now, voltage_now')
        power_w = self._unit_w
        for factor in self._factors:
            power_w *= abs(factor.number())
        if power_w > MAX_POWER_W:
            raise HardwareError(f'{self.folder} reads {power_w:g} W: not counted')
        return power_w

    def close(self) -> None:
        """Close the files."""
        for attribute in (self._status, *self._factors):
            attribute.close()
        self.check.close()


class BatteryMeter(PowerMeter):
    """All batteries of the computer together, while they are discharged.

    What it draws from a charger is not known, so that any time on one is lost, and told. Where a
    battery feeds more than the computer, its motors for example, they are in the figure too.
    Batteries of mice and the like (scope Device) are not looked at. Raises HardwareError where
    there is no battery.
    """

    name = 'battery'
    scope = Scope.BOARD
    period_s = PERIOD_S
    covers_radio = True  # like everything else in the computer

    def __init__(self, files: DeviceFiles) -> None:
        folders = [path.rpartition('/')[0] for path in files.find(f'{SUPPLIES}/*/type')]
        self._batteries = tuple(
            Battery(files, folder)
            for folder in folders
            if word(files, f'{folder}/type') == 'Battery'
            and word(files, f'{folder}/scope') != 'Device'
            and word(files, f'{folder}/present') != '0'
        )
        if not self._batteries:
            raise HardwareError(f'no battery under {SUPPLIES}')
        self.device = ', '.join(self.rails)

    @property
    def rails(self) -> tuple[str, ...]:
        """Their names, for example ``BAT0``."""
        return tuple(battery.name for battery in self._batteries)

    @property
    def total_rails(self) -> tuple[str, ...]:
        """All of them."""
        return self.rails

    def read(self) -> PowerSample:
        """Power of each that is discharged, and of idle ones beside those."""
        time_s = time.monotonic()
        power_w: dict[str, float] = {}
        trouble: dict[str, str] = {}
        statuses = [_status(battery) for battery in self._batteries]
        in_use = DISCHARGING in statuses
        for battery, status in zip(self._batteries, statuses, strict=True):
            name = battery.name
            try:
                if status == CHARGING or not in_use:
                    raise HardwareError(  # noqa: TRY301 told with the others
                        f'{battery.folder} is not discharged (status {status}): what the '
                        'computer draws is not known'
                    )
                power_w[name] = battery.power_w()
                doubt = battery.check.update(time_s, power_w[name])
            except HardwareError as error:
                trouble[name] = str(error)
            else:
                if doubt:
                    trouble[name] = doubt
        if not power_w:
            raise HardwareError('; '.join(trouble.values()))
        return PowerSample(time_s, power_w, trouble=trouble)

    def close(self) -> None:
        """Close the files."""
        for battery in self._batteries:
            battery.close()


def _status(battery: Battery) -> str:
    """What the kernel says it does, or why that is not known."""
    try:
        return battery.status()
    except HardwareError as error:
        return str(error)


def _power_of(files: DeviceFiles, folder: str) -> tuple[tuple[Attribute, ...], float]:
    """Attributes whose product is the power, and what that is in [W]."""
    for names, unit_w in ((('power_now',), 1e-6), (('current_now', 'voltage_now'), 1e-12)):
        paths = [f'{folder}/{name}' for name in names]
        if all(map(files.exists, paths)):
            return tuple(Attribute(files, path) for path in paths), unit_w
    return (), 0.0
