"""What the workers know of the GPU clock, and how an emulated clock slows them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ


@dataclass(frozen=True)
class GpuClockView:
    """The clock local inference runs at.

    ``slowdown`` (>= 1) is the factor an emulated clock stretches GPU work by; 1 on a real one.
    """

    frequency_hz: float = NOMINAL_FREQUENCY_HZ
    slowdown: float = 1.0

    @property
    def reference_frequency_hz(self) -> float:
        """Clock at which unstretched GPU work runs [Hz]."""
        return self.frequency_hz * self.slowdown

    def stretch(self, gpu_time_s: float) -> float:
        """Let the GPU be busy for as long as the emulated clock would; returns that time [s]."""
        extra_s = gpu_time_s * (self.slowdown - 1.0)
        if extra_s > 0.0:
            time.sleep(extra_s)
        return gpu_time_s + max(extra_s, 0.0)

    def work_ghz_s(self, stretched_time_s: float) -> float:
        """GPU work of a frame that kept the GPU busy for ``stretched_time_s`` [GHz.s]."""
        return stretched_time_s * self.frequency_hz * 1e-9
