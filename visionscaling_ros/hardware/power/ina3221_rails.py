"""Where a Jetson's kernel shows the channels of its power monitors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.attribute import Attribute, word

MAX_POWER_W = 1000.0  # far above what a rail can carry: a reading beyond it is none
# rail_name_N, in_powerN_input [mW]: NVIDIA's driver ina3221x of JetPack 4, an IIO device
IIO_FOLDERS = (
    '/sys/bus/i2c/drivers/ina3221x/*/iio:device*',
    '/sys/bus/i2c/drivers/ina3221x/*/iio_device',
)
# inN_label, inN_input [mV], currN_input [mA]: mainline ina3221 of JetPack 5 and later, a hwmon
# device (kernel.org/doc/Documentation/hwmon/ina3221.rst). in4 to in6 are shunt voltages and in7
# their sum: no rails.
HWMON_FOLDERS = ('/sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*',)
# power1_input [1e-6 W] of one rail, named by ``label``, on Thor
# (kernel.org/doc/Documentation/hwmon/ina238.rst)
INA238_FOLDERS = ('/sys/bus/i2c/drivers/ina238/*/hwmon/hwmon*',)
INA238_RAIL = 'VIN'  # Thor's only one, where it has no label
NOT_CONNECTED = 'NC'
MAX_UPDATE_MS = 10_000.0


@dataclass(frozen=True)
class Rail:
    """A channel that measures a supply.

    :param factors: attributes whose product is its power.
    :param unit_w: what the product is in [W].
    :param folder: of the monitor.
    """

    name: str
    factors: tuple[Attribute, ...]
    unit_w: float
    folder: str

    def power_w(self) -> float:
        """Power now [W]; raises HardwareError for a reading that is none."""
        product = 1
        for factor in self.factors:
            value = factor.number()
            if value < 0:
                raise HardwareError(f'{factor.path} reads {value}, below 0: not counted')
            product *= value
        power_w = product * self.unit_w
        if power_w > MAX_POWER_W:
            raise HardwareError(
                f'{self.name} reads {power_w:g} W, more than a rail can carry: not counted'
            )
        return power_w


def find_rails(files: DeviceFiles) -> tuple[Rail, ...]:
    """All rails of the machine, each once, in the order of the monitors' addresses."""
    rails: dict[str, Rail] = {}
    for rail in (*_iio_rails(files), *_hwmon_rails(files), *_ina238_rails(files)):
        rails.setdefault(rail.name, rail)
    return tuple(rails.values())


def update_period_s(files: DeviceFiles, rails: tuple[Rail, ...]) -> float:
    """How often the slowest monitor has measured all its channels anew [s]; NaN: not told.

    From ``update_interval`` [ms] of the mainline driver.
    """
    periods_s = []
    for folder in {rail.folder for rail in rails}:
        interval_ms = word(files, f'{folder}/update_interval')
        if interval_ms.isdecimal() and 0.0 < float(interval_ms) <= MAX_UPDATE_MS:
            periods_s.append(1e-3 * float(interval_ms))
    return max(periods_s, default=float('nan'))


def _iio_rails(files: DeviceFiles) -> Iterator[Rail]:
    for folder in _folders(files, IIO_FOLDERS):
        for path in files.find(f'{folder}/rail_name_*'):
            channel = path.rpartition('_')[2]
            power = f'{folder}/in_power{channel}_input'
            name = word(files, path)
            if _is_rail(name) and files.exists(power):
                yield Rail(name, (Attribute(files, power),), 1e-3, folder)


def _hwmon_rails(files: DeviceFiles) -> Iterator[Rail]:
    for folder in _folders(files, HWMON_FOLDERS):
        for path in files.find(f'{folder}/in[123]_label'):
            channel = re.sub(r'\D', '', path.rpartition('/')[2])
            factors = (f'{folder}/in{channel}_input', f'{folder}/curr{channel}_input')
            name = word(files, path)
            if _is_rail(name) and all(map(files.exists, factors)):
                attributes = tuple(Attribute(files, factor) for factor in factors)
                yield Rail(name, attributes, 1e-6, folder)


def _ina238_rails(files: DeviceFiles) -> Iterator[Rail]:
    for folder in _folders(files, INA238_FOLDERS):
        power = f'{folder}/power1_input'
        if files.exists(power):
            name = word(files, f'{folder}/label') or INA238_RAIL
            yield Rail(name, (Attribute(files, power),), 1e-6, folder)


def _folders(files: DeviceFiles, patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        yield from files.find(pattern)


def _is_rail(name: str) -> bool:
    return bool(name) and name != NOT_CONNECTED and 'shunt' not in name
