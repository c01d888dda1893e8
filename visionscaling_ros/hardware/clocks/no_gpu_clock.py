"""The clock of a machine whose GPU, if any, is left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for


class NoGpuClock(GpuClock):
    """Knows nothing and sets nothing."""

    name = 'none'
    device = 'none'

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """No levels."""
        return ()

    def limits_hz(self) -> None:
        """Not known."""
        return

    def frequency_hz(self) -> float:
        """Not known."""
        return math.nan

    def set_frequency(self, frequency_hz: float) -> float:
        """Raise: InvalidValueError for a bad frequency, else HardwareError."""
        return level_for((), frequency_hz)

    def state(self) -> dict[str, str]:
        """Nothing is ever changed."""
        return {}

    def restore(self, state: Mapping[str, str]) -> None:
        """Nothing was changed."""

    def release(self) -> None:
        """Nothing was taken."""
