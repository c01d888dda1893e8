"""Where a Jetson's kernel shows the channels of its power monitors."""

from __future__ import annotations

import math
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
# inN_label, inN_input [mV], currN_input [mA], shuntN_resistor [1e-6 Ohm]: mainline ina3221 of
# JetPack 5 and later, a hwmon device (kernel.org/doc/Documentation/hwmon/ina3221.rst). in4 to in6
# are shunt voltages and in7 their sum: no rails.
HWMON_FOLDERS = ('/sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*',)
# power1_input [1e-6 W] of one rail, named by ``label``, on Thor
# (kernel.org/doc/Documentation/hwmon/ina238.rst)
INA238_FOLDERS = ('/sys/bus/i2c/drivers/ina238/*/hwmon/hwmon*',)
INA238_RAIL = 'VIN'  # Thor's only one, where it has no label
NOT_CONNECTED = 'NC'
MAX_UPDATE_MS = 10_000.0
MAX_SUPPLY_MV = 26_000  # of an INA3221
# An idle rail reads below 0 by the offset of the shunt voltage, 80e-6 V at most, and a step of
# 40e-6 V (TI SBOS576, "Electrical Characteristics"): 24 mA at a shunt of 5e-3 Ohm.
BELOW_ZERO_UV = 80 + 40
MIN_SHUNT_UOHM = 500  # with less the offset alone would be watts: not believed
BELOW_ZERO_MA = 100  # where the shunt is not told


@dataclass(frozen=True)
class Rail:
    """A channel that measures a supply.

    :param factors: attributes whose product is its power.
    :param lowest: what each of them may read; below 0, where its sensor has an offset.
    :param unit_w: what the product is in [W].
    :param folder: of the monitor.
    """

    name: str
    factors: tuple[Attribute, ...]
    lowest: tuple[int, ...]
    unit_w: float
    folder: str

    def power_w(self) -> float:
        """Power now [W], 0 where it is below that by its offset only.

        Raises HardwareError for a reading that is none.
        """
        product = 1
        for factor in self.factors:
            value = factor.number()
            if value < 0:
                value = self._zero(factor, value)
            product *= value
        power_w = product * self.unit_w
        if power_w > MAX_POWER_W:
            raise HardwareError(
                f'{self.name} reads {power_w:g} W, more than a rail can carry: not counted'
            )
        return power_w

    def _zero(self, factor: Attribute, value: int) -> int:
        """0 for what is below it by no more than the offset; else raises HardwareError."""
        lowest = self.lowest[self.factors.index(factor)]
        if value < lowest:
            offset = f' by more than its offset ({-lowest} at most)' if lowest else ''
            raise HardwareError(f'{factor.path} reads {value}, below 0{offset}: not counted')
        return 0


def find_rails(files: DeviceFiles) -> tuple[Rail, ...]:
    """All rails of the machine, each once, in the order of the monitors' addresses."""
    rails: dict[str, Rail] = {}
    for rail in (*_iio_rails(files), *_hwmon_rails(files), *_ina238_rails(files)):
        rails.setdefault(rail.name, rail)
    return tuple(rails.values())


def update_period_s(files: DeviceFiles, rails: tuple[Rail, ...]) -> float:
    """How often the slowest monitor has measured all its channels anew [s]; 0: not told.

    From ``update_interval`` [ms] of the mainline driver.
    """
    periods_s = []
    for folder in {rail.folder for rail in rails}:
        interval_ms = word(files, f'{folder}/update_interval')
        if interval_ms.isdecimal() and 0.0 < float(interval_ms) <= MAX_UPDATE_MS:
            periods_s.append(1e-3 * float(interval_ms))
    return max(periods_s, default=0.0)


def _iio_rails(files: DeviceFiles) -> Iterator[Rail]:
    for folder in _folders(files, IIO_FOLDERS):
        for path in files.find(f'{folder}/rail_name_*'):
            channel = path.rpartition('_')[2]
            power = f'{folder}/in_power{channel}_input'
            name = word(files, path)
            if _is_rail(name) and files.exists(power):
                supply_mv = _whole(word(files, f'{folder}/in_voltage{channel}_input'))
                offset_mw = BELOW_ZERO_MA * min(supply_mv, MAX_SUPPLY_MV) // 1000
                yield Rail(name, (Attribute(files, power),), (-offset_mw,), 1e-3, folder)


def _hwmon_rails(files: DeviceFiles) -> Iterator[Rail]:
    for folder in _folders(files, HWMON_FOLDERS):
        for path in files.find(f'{folder}/in[123]_label'):
            channel = re.sub(r'\D', '', path.rpartition('/')[2])
            factors = (f'{folder}/in{channel}_input', f'{folder}/curr{channel}_input')
            name = word(files, path)
            if _is_rail(name) and all(map(files.exists, factors)):
                attributes = tuple(Attribute(files, factor) for factor in factors)
                shunt_uohm = _whole(word(files, f'{folder}/shunt{channel}_resistor'))
                yield Rail(name, attributes, (0, -_offset_ma(shunt_uohm)), 1e-6, folder)


def _ina238_rails(files: DeviceFiles) -> Iterator[Rail]:
    for folder in _folders(files, INA238_FOLDERS):
        power = f'{folder}/power1_input'
        if files.exists(power):
            name = word(files, f'{folder}/label') or INA238_RAIL
            yield Rail(name, (Attribute(files, power),), (0,), 1e-6, folder)


def _offset_ma(shunt_uohm: int) -> int:
    """How far below 0 a current may read [mA]; a shunt of 0: not known."""
    if shunt_uohm < MIN_SHUNT_UOHM:
        return BELOW_ZERO_MA
    return math.ceil(1000 * BELOW_ZERO_UV / shunt_uohm)


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _folders(files: DeviceFiles, patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        yield from files.find(pattern)


def _is_rail(name: str) -> bool:
    return bool(name) and name != NOT_CONNECTED and 'shunt' not in name
