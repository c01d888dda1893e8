"""What a power meter is to the profiler, and the one that calculates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel


@dataclass(frozen=True)
class MeterReading:
    """Energy of the GPU [J] over a while [s]."""

    energy_j: float
    duration_s: float


class PowerMeter(Protocol):
    """Tells the energy the GPU takes between ``begin`` and ``end``; HardwareError if it cannot."""

    @property
    def name(self) -> str:
        """Which meter it is; ``model`` where nothing is measured."""
        ...

    def begin(self, frequency_hz: float) -> None:
        """A stretch of time starts, at a GPU clock [Hz]."""
        ...

    def end(self, busy_s: float) -> MeterReading:
        """It ends; for ``busy_s`` of it frames were being processed."""
        ...


class ModelMeter:
    """Calculates: beta all the time, alpha f^3 while busy.

    :param now_s: monotonic clock.
    """

    name = 'model'

    def __init__(
        self, model: GpuPowerModel, *, now_s: Callable[[], float] = time.perf_counter
    ) -> None:
        self._model = model
        self._now_s = now_s
        self._frequency_hz = self._began_s = 0.0

    def begin(self, frequency_hz: float) -> None:
        """Note the time."""
        self._frequency_hz = frequency_hz
        self._began_s = self._now_s()

    def end(self, busy_s: float) -> MeterReading:
        """The model's energy since then."""
        duration_s = self._now_s() - self._began_s
        dynamic_j = self._model.dynamic_power_w(self._frequency_hz) * min(busy_s, duration_s)
        return MeterReading(self._model.beta_w * duration_s + dynamic_j, duration_s)
