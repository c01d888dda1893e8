"""A GPU clock that exists in a file only: closes the loop on a machine without one to set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.atomic_file import write_atomically
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for

# Jetson AGX Orin, the 11 levels of the public measurements behind the power model's defaults
# (github.com/lijiaxi2018/Distributed-Learning).
AGX_ORIN_FREQUENCIES_HZ = tuple(
    1e6 * mhz for mhz in (306, 408, 510, 612, 714, 816, 918, 1020, 1122, 1224, 1300.5)
)


class EmulatedGpuClock(GpuClock):
    """A device whose register is a small text file with the clock in Hz.

    Its own governor runs it at the highest level. Like a real one, the register keeps its value
    when the process that set it is killed. Raises InvalidValueError for levels that are not
    positive and ascending.

    :param register: the file; absent or empty means the device was never set.
    :param frequencies_hz: levels, ascending.
    """

    name = 'emulated'
    outlives_reboot = True

    def __init__(
        self, register: Path, frequencies_hz: Sequence[float] = AGX_ORIN_FREQUENCIES_HZ
    ) -> None:
        check_levels(frequencies_hz)
        self._register = register
        self._levels_hz = tuple(float(level) for level in frequencies_hz)
        self.device = str(register)

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """The levels."""
        return self._levels_hz

    @property
    def slowdown(self) -> float:
        """Highest level over the present one: work runs unstretched at the highest."""
        frequency_hz = self.frequency_hz()
        return self._levels_hz[-1] / frequency_hz if frequency_hz > 0.0 else 1.0

    def limits_hz(self) -> tuple[float, float]:
        """The level that was set; all levels when none is."""
        if not self._read():
            return self._levels_hz[0], self._levels_hz[-1]
        frequency_hz = self.frequency_hz()
        return frequency_hz, frequency_hz

    def frequency_hz(self) -> float:
        """What the register says [Hz]; NaN when it holds no level of this device."""
        text = self._read()
        if not text:
            return self._levels_hz[-1]
        try:
            frequency_hz = float(text)
        except ValueError:
            return math.nan
        return frequency_hz if frequency_hz in self._levels_hz else math.nan

    def set_frequency(self, frequency_hz: float) -> float:
        """Write the level to the register and read it back."""
        level_hz = level_for(self._levels_hz, frequency_hz)
        self._write(repr(level_hz))
        read_hz = self.frequency_hz()
        if read_hz != level_hz:
            raise HardwareError(f'{self.device}: wrote {level_hz:g} Hz, reads {read_hz:g} Hz')
        return read_hz

    def state(self) -> dict[str, str]:
        """The register's text."""
        return {'register': self._read()}

    def restore(self, state: Mapping[str, str]) -> None:
        """Write the register's text back."""
        if 'register' not in state:
            raise HardwareError(f'{self.device}: {dict(state)} is no state of this device')
        self._write(state['register'])

    def release(self) -> None:
        """Empty the register: the governor's level."""
        self._write('')

    def _read(self) -> str:
        try:
            return self._register.read_text(encoding='utf-8', errors='replace').strip()
        except FileNotFoundError:
            return ''
        except OSError as error:
            raise HardwareError(f'{self.device} cannot be read: {error.strerror}') from error

    def _write(self, text: str) -> None:
        try:
            write_atomically(self._register, f'{text}\n')
        except OSError as error:
            raise HardwareError(f'{self.device} cannot be written: {error.strerror}') from error


def check_levels(frequencies_hz: Sequence[float]) -> None:
    """Raise InvalidValueError unless there are levels and they are positive and ascending."""
    levels = list(frequencies_hz)
    if (
        not levels
        or not all(math.isfinite(level) and level > 0.0 for level in levels)
        or any(low >= high for low, high in itertools.pairwise(levels))
    ):
        raise InvalidValueError(
            'available_frequencies_hz', levels, 'positive numbers, each above the one before'
        )
