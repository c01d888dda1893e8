"""What a GPU draws at a clock and utilisation, by model, and the energy that makes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError


@dataclass(frozen=True)
class GpuPowerModel:
    """P = beta + u alpha f^3, f in GHz, u the utilisation.

    The defaults are a fit (R^2 0.985) of a Jetson AGX Orin's GPU rail, YOLOv8n at 640 px, to the
    measurements published at github.com/lijiaxi2018/Distributed-Learning.

    :param alpha_w_per_ghz3: dynamic power at full utilisation and 1 GHz.
    :param beta_w: power of the idle GPU.
    """

    alpha_w_per_ghz3: float = 1.517
    beta_w: float = 3.257

    def __post_init__(self) -> None:
        for name in ('alpha_w_per_ghz3', 'beta_w'):
            if not getattr(self, name) >= 0.0:
                raise InvalidValueError(name, getattr(self, name), '>= 0')

    def dynamic_power_w(self, frequency_hz: float) -> float:
        """Power above idle at full utilisation [W]."""
        return self.alpha_w_per_ghz3 * (frequency_hz * 1e-9) ** 3

    def power_w(self, frequency_hz: float, utilization: float) -> float:
        """Power [W] at a clock [Hz] and a utilisation of 0 to 1."""
        return self.beta_w + utilization * self.dynamic_power_w(frequency_hz)


@dataclass(frozen=True)
class EnergyReading:
    """Energy since the start [J]; mean power [W] and utilisation since the reading before.

    Both means are NaN when no time has passed.
    """

    energy_j: float
    power_w: float
    utilization: float


class EnergyMeter:
    """Integrates a power model on the monotonic clock.

    Busy time is reported in lumps, after the fact (a frame counts when it ends). It is spread over
    the time until the next report, so that power is smooth, and all of it counts in the end: the
    energy of busy time is exact up to a clock that changes within one report.

    :param base_w: power of everything else on the robot's computer.
    :param frequency_hz: clock at the start.
    :param now_s: monotonic clock.
    """

    def __init__(
        self,
        model: GpuPowerModel,
        *,
        frequency_hz: float,
        base_w: float = 0.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._now_s = now_s
        self._model = model
        self._base_w = base_w
        self._frequency_hz = frequency_hz
        self._integrated_s = self._reported_s = self._read_s = now_s()
        self._owed_busy_s = 0.0  # reported, not integrated yet
        self._utilization = 0.0
        self._energy_j = self._energy_read_j = 0.0
        self._busy_s = self._busy_read_s = 0.0

    def set_frequency(self, frequency_hz: float) -> None:
        """The clock is ``frequency_hz`` from now on."""
        with self._lock:
            self._integrate()
            self._frequency_hz = frequency_hz

    def set_model(self, model: GpuPowerModel, base_w: float) -> None:
        """Another model from now on."""
        with self._lock:
            self._integrate()
            self._model, self._base_w = model, base_w

    def add_busy(self, busy_s: float) -> None:
        """The GPU was busy for ``busy_s`` since the last report; raises InvalidValueError."""
        if not 0.0 <= busy_s < float('inf'):
            raise InvalidValueError('busy_s', busy_s, '0 to inf s')
        with self._lock:
            now_s = self._integrate()
            period_s, self._reported_s = now_s - self._reported_s, now_s
            self._owed_busy_s += busy_s
            if period_s > 0.0:
                self._utilization = min(1.0, self._owed_busy_s / period_s)

    def read(self) -> EnergyReading:
        """The energy up to now."""
        with self._lock:
            now_s = self._integrate()
            period_s, self._read_s = now_s - self._read_s, now_s
            energy_j = self._energy_j - self._energy_read_j
            busy_s = self._busy_s - self._busy_read_s
            self._energy_read_j, self._busy_read_s = self._energy_j, self._busy_s
        if period_s <= 0.0:
            return EnergyReading(self._energy_j, float('nan'), float('nan'))
        return EnergyReading(self._energy_j, energy_j / period_s, busy_s / period_s)

    def total(self) -> tuple[float, float]:
        """Energy up to now [J] and power now [W]; leaves the means of ``read`` alone."""
        with self._lock:
            self._integrate()
            utilization = self._utilization if self._owed_busy_s > 0.0 else 0.0
            return self._energy_j, self._base_w + self._model.power_w(
                self._frequency_hz, utilization
            )

    def _integrate(self) -> float:
        now_s = self._now_s()
        elapsed_s, self._integrated_s = now_s - self._integrated_s, now_s
        busy_s = min(self._utilization * elapsed_s, self._owed_busy_s)
        self._owed_busy_s -= busy_s
        self._busy_s += busy_s
        self._energy_j += (self._model.beta_w + self._base_w) * elapsed_s
        self._energy_j += self._model.dynamic_power_w(self._frequency_hz) * busy_s
        return now_s
