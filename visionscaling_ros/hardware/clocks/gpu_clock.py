"""The contract of a GPU clock."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError


class GpuClock(ABC):
    """One device whose clock can be read and, where it has levels, set; standard library only.

    Anything but ``set_frequency``, ``restore`` and ``release`` leaves the device as it is.
    """

    name: str  # backend, for example 'emulated'
    device: str  # what is set, in words a person recognises: a path or a card's name
    restores_itself = False  # somebody else undoes what a killed process left
    outlives_reboot = False  # what was set is still set after the machine was started again

    @property
    @abstractmethod
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """Levels the device has now, ascending [Hz]; empty when it cannot be set."""

    @abstractmethod
    def limits_hz(self) -> tuple[float, float] | None:
        """Range its governor is held in now [Hz]; None where the device does not tell."""

    @abstractmethod
    def frequency_hz(self) -> float:
        """Clock now [Hz]; NaN when it is not known."""

    @abstractmethod
    def set_frequency(self, frequency_hz: float) -> float:
        """Set the lowest level that is not below ``frequency_hz``; the highest if all are.

        Returns the level read back [Hz]. Raises InvalidValueError for a frequency that is not a
        positive number, HardwareError when the device cannot be set or reads back another level.
        """

    def access(self) -> str:
        """Why it may not be set and what to do about that; empty where it may."""
        return ''

    def keep_alive(self) -> None:  # noqa: B027 most are watched over by nobody
        """Tell who watches over the clock that it is still wanted; raises HardwareError."""

    def lock_paths(self) -> tuple[Path, ...]:
        """Files that stand for the device to all that set it, for DeviceLock; it writes them."""
        return ()

    def held_by_heat(self) -> str:
        """What narrows the range while it is hot, so that it is no state to restore; else empty."""
        return ''

    @abstractmethod
    def state(self) -> dict[str, str]:
        """All that ``set_frequency`` may change, as ``restore`` takes it."""

    def cap_hz(self, state: Mapping[str, str]) -> float:
        """Highest frequency that a ``state`` allows, as a board's power mode does [Hz].

        Raises HardwareError for what is no state of this device.
        """
        return math.inf

    @abstractmethod
    def restore(self, state: Mapping[str, str]) -> None:
        """Bring back a ``state`` read earlier; raises HardwareError when that fails."""

    @abstractmethod
    def release(self) -> None:
        """Hand the clock to the device's own governor; raises HardwareError when that fails."""

    @property
    def slowdown(self) -> float:
        """Factor local inference must be stretched by to act as if at this clock; 1 if real."""
        return 1.0


def level_for(levels_hz: Sequence[float], frequency_hz: float) -> float:
    """The lowest of the ascending levels not below ``frequency_hz``; the last if all are.

    >>> level_for([1e9, 2e9], 1.2e9)
    2000000000.0

    Raises InvalidValueError for a frequency that is not a positive number, HardwareError without
    levels.
    """
    if not (math.isfinite(frequency_hz) and frequency_hz > 0.0):
        raise InvalidValueError('frequency_hz', frequency_hz, 'a positive number')
    if not levels_hz:
        raise HardwareError('this clock cannot be set: the device offers no levels')
    return next((level for level in levels_hz if level >= frequency_hz), levels_hz[-1])
