"""How hot what a clock drives is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import NvmlSession
from visionscaling_ros.hardware.thermal.thermal_guard import HIGHEST_C, LOWEST_C


class Thermometer(ABC):
    """One or more sensors of one device. For one thread."""

    device: str  # what is read, in words a person recognises

    @abstractmethod
    def read_c(self) -> float:
        """The hottest sensor [degC]; NaN when none of them says anything sensible."""

    def close(self) -> None:  # noqa: B027 most hold nothing
        """Free what it holds; it may be called twice."""


class FileThermometer(Thermometer):
    """The hottest of some files of the kernel, in thousandths of a degree as all of them are.

    A GPU without power says -256 degC or refuses to be read on Jetsons
    (github.com/rbonghi/jetson_stats/issues/350): such a sensor does not count, and when none is
    left, ``others`` are asked, which are the junction's or the board's.

    :param sensors: ``/sys/class/thermal/thermal_zone0/temp`` or ``.../hwmon0/temp1_input``.
    """

    def __init__(
        self, files: DeviceFiles, sensors: Sequence[str], others: Sequence[str] = ()
    ) -> None:
        self._files = files
        self._sensors = tuple(sensors)
        self._others = tuple(others)
        self.device = ', '.join(sensors or others)

    def read_c(self) -> float:
        """The hottest sensor [degC]."""
        hottest_c = self._hottest_c(self._sensors)
        return self._hottest_c(self._others) if math.isnan(hottest_c) else hottest_c

    def _hottest_c(self, sensors: Sequence[str]) -> float:
        readings_c = [self._read_c(sensor) for sensor in sensors]
        return max((c for c in readings_c if LOWEST_C <= c <= HIGHEST_C), default=math.nan)

    def _read_c(self, sensor: str) -> float:
        try:
            return 1e-3 * float(self._files.read(sensor))
        except (OSError, ValueError):
            return math.nan


class NvmlThermometer(Thermometer):
    """An NVIDIA card's own sensor, nvmlDeviceGetTemperature.

    Raises HardwareError for a card that is not there.

    :param device: as NvmlSession has it.
    """

    def __init__(self, device: str = '') -> None:
        self._session = NvmlSession(device)
        self.device = self._session.device

    def read_c(self) -> float:
        """The GPU [degC]."""
        sensor = self._session.constant('NVML_TEMPERATURE_GPU')
        try:
            return float(self._session.call('nvmlDeviceGetTemperature', sensor))
        except HardwareError:
            return math.nan

    def close(self) -> None:
        """Give NVML back."""
        self._session.close()
