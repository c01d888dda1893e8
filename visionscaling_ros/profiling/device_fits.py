"""From measured times and powers to the quantities the controller plans with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.profiling.line_fit import fit_line


@dataclass(frozen=True)
class LatencyFit:
    """``latency = gpu_work_ghz_s / f_ghz + serial_s``.

    :param r_squared: of the fit; NaN where one clock only was measured, and nothing fitted.
    """

    gpu_work_ghz_s: float
    serial_s: float
    r_squared: float

    def latency_s(self, frequency_hz: float) -> float:
        """Time of a frame at a GPU clock [Hz]."""
        return self.gpu_work_ghz_s / (frequency_hz * 1e-9) + self.serial_s


@dataclass(frozen=True)
class PowerFit:
    """``power = beta_w + u alpha_w_per_ghz3 f_ghz^3``, u the utilisation.

    :param r_squared: of the fit; NaN where the power did not vary.
    """

    alpha_w_per_ghz3: float
    beta_w: float
    r_squared: float


def fit_latency(
    frequencies_hz: Sequence[float], latencies_s: Sequence[float], least_serial_s: float = 0.0
) -> LatencyFit:
    """Work (>= 0) and serial part from latencies at two clocks or more.

    Raises InvalidValueError for fewer clocks, a clock that is not above 0, or a latency that is
    not above ``least_serial_s``.

    :param least_serial_s: the serial part is no shorter than this: what was seen to be serial.
        Without it little noise at low clocks decides on a part that is small there.
    """
    line = fit_line(
        [1e9 / frequency_hz for frequency_hz in frequencies_hz],
        [latency_s - least_serial_s for latency_s in latencies_s],
    )
    return LatencyFit(line.slope, least_serial_s + line.intercept, line.r_squared)


def split_latency(frequency_hz: float, network_s: float, serial_s: float) -> LatencyFit:
    """Work and serial part from one clock: all of the network's time is taken to be GPU work."""
    return LatencyFit(network_s * frequency_hz * 1e-9, serial_s, math.nan)


def fit_power(
    frequencies_hz: Sequence[float], utilizations: Sequence[float], powers_w: Sequence[float]
) -> PowerFit:
    """The power model's figures (>= 0) from powers at clocks [Hz] and utilisations (0 to 1).

    Raises InvalidValueError unless two of them differ in ``u f^3``, or for a power not above 0.
    """
    cubes = [
        utilization * (frequency_hz * 1e-9) ** 3
        for frequency_hz, utilization in zip(frequencies_hz, utilizations, strict=True)
    ]
    line = fit_line(cubes, powers_w)
    return PowerFit(line.slope, line.intercept, line.r_squared)
