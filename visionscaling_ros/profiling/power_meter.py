"""What a power meter is to the profiler: one that calculates, and those that measure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MeterReading as Sampled
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.power_meter import Scope

LEAST_PERIODS = 10  # of a meter in a stretch, so that its ends matter little
MOST_UNKNOWN = 0.5  # of a stretch


@dataclass(frozen=True)
class MeterReading:
    """Energy [J] over a while [s], and how much of that was busy [s]."""

    energy_j: float
    duration_s: float
    busy_s: float


class PowerMeter(Protocol):
    """Tells the energy taken between ``begin`` and ``end``."""

    @property
    def name(self) -> str:
        """Which meter it is; ``model`` where nothing is measured."""
        ...

    @property
    def scope(self) -> Scope:
        """What the energy is of."""
        ...

    @property
    def least_s(self) -> float:
        """Shorter stretches are not worth measuring [s]."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong with it now; '' if nothing is."""
        ...

    def begin(self, frequency_hz: float) -> None:
        """A stretch of time starts, at a GPU clock [Hz]."""
        ...

    def end(self, busy_s: float) -> MeterReading | None:
        """It ends; for ``busy_s`` of it frames were being processed. None: too little is known."""
        ...


class ModelMeter:
    """Calculates: beta all the time, alpha f^3 while busy.

    :param now_s: monotonic clock.
    """

    name = 'model'
    scope = Scope.MODEL
    least_s = 0.0
    trouble = ''

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
        return MeterReading(self._model.beta_w * duration_s + dynamic_j, duration_s, busy_s)


class SampledMeter:
    """Measures, with a sampler that runs; at which clock does not matter to it.

    :param sampler: of a device's meter.
    """

    def __init__(self, sampler: MeterSampler) -> None:
        self._sampler = sampler
        self.name = sampler.meter.name
        self.scope = sampler.meter.scope
        self.least_s = LEAST_PERIODS * sampler.period_s
        self.trouble = ''
        self._began = sampler.read()

    def begin(self, frequency_hz: float) -> None:
        """Sample."""
        del frequency_hz
        self._began = self._read()

    def end(self, busy_s: float) -> MeterReading | None:
        """Sample again, and leave gaps out of all of it; None where they are most of it."""
        began, ended = self._began, self._read()
        measured_s = ended.measured_s - began.measured_s
        gap_s = ended.gap_s - began.gap_s
        if measured_s <= 0.0 or gap_s > MOST_UNKNOWN * (measured_s + gap_s):
            return None
        known = measured_s / (measured_s + gap_s)
        return MeterReading(ended.energy_j - began.energy_j, measured_s, known * busy_s)

    def _read(self) -> Sampled:
        self._sampler.sample()
        reading = self._sampler.read()
        self.trouble = reading.trouble
        return reading
