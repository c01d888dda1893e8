"""The robot's computer as the controller sees it: clock levels and what power they take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ


@dataclass(frozen=True)
class DeviceModel:
    """Clock levels and a power model; a figure that is not known (NaN or negative) counts as 0.

    Power of the GPU follows ``P_gpu = beta + u alpha f^3`` with f in GHz and u the share of time a
    frame is being processed: both its GPU part and its serial part count as busy, because alpha
    was fitted to measurements of a pipeline that never paused, its serial part included
    (Jetson AGX Orin, YOLOv8n: alpha 1.3 to 2.0 W/GHz^3, beta 3.1 to 3.8 W, R^2 0.985; fit of
    public measurements, lijiaxi2018/Distributed-Learning).
    The radio takes ``fixed + slope r`` while it sends (SIGCOMM'21 5G measurements: LTE 0.54 W +
    79.5 mW per Mbit/s; fit of the published data).

    :param available_frequencies_hz: levels the GPU can be set to [Hz]; empty: it cannot be set.
    :param alpha_w_per_ghz3: dynamic power at full utilisation is alpha f^3 [W/GHz^3].
    :param beta_w: power of an idle GPU [W].
    :param base_w: power of the rest of the computer [W].
    :param radio_fixed_w: power of a sending radio, tail included [W].
    :param radio_w_per_mbps: power a rate of 1 Mbit/s adds [W].
    :param radio_tail_s: time the radio stays on after it sent [s].
    :param frequency_hz: the clock it runs at, of use where it cannot be set [Hz].
    :param rated_power_w: power that counts as 1 in the cost [W]; 0: the most it takes by this
        model. Set in a corrected model, so that a correction does not move the weights.
    """

    available_frequencies_hz: tuple[float, ...] = ()
    alpha_w_per_ghz3: float = 0.0
    beta_w: float = 0.0
    base_w: float = 0.0
    radio_fixed_w: float = 0.0
    radio_w_per_mbps: float = 0.0
    radio_tail_s: float = 0.0
    frequency_hz: float = math.nan
    rated_power_w: float = 0.0

    def __post_init__(self) -> None:
        levels = {float(level) for level in self.available_frequencies_hz if _known(level)}
        object.__setattr__(self, 'available_frequencies_hz', tuple(sorted(levels - {0.0})))
        for name in _POWERS:
            value = getattr(self, name)
            object.__setattr__(self, name, float(value) if _known(value) else 0.0)

    @property
    def can_set_clock(self) -> bool:
        """True where the GPU clock can be set."""
        return bool(self.available_frequencies_hz)

    @property
    def clock_levels_hz(self) -> tuple[float, ...]:
        """Levels to choose from, ascending [Hz]; the one it runs at where it cannot be set."""
        if self.available_frequencies_hz:
            return self.available_frequencies_hz
        known = _known(self.frequency_hz) and self.frequency_hz > 0.0
        return (self.frequency_hz if known else NOMINAL_FREQUENCY_HZ,)

    @property
    def p_max_w(self) -> float:
        """Most power it takes with the radio on but for what the bits add [W]; 1 if unknown."""
        if self.rated_power_w > 0.0:
            return self.rated_power_w
        power_w = self.power_w(self.clock_levels_hz[-1], 1.0, 0.0) + self.radio_fixed_w
        return power_w if power_w > _LEAST_POWER_W else 1.0

    def gpu_dynamic_power_w(self, frequency_hz: float) -> float:
        """Power a busy GPU adds at a clock, ``alpha f^3`` [W]."""
        return self.alpha_w_per_ghz3 * (frequency_hz * 1e-9) ** 3

    def radio_power_w(self, tx_rate_bps: float) -> float:
        """Power of the radio at a rate, 0 while it sends nothing [W]."""
        if tx_rate_bps <= 0.0:
            return 0.0
        return self.radio_fixed_w + self.radio_w_per_mbps * tx_rate_bps * 1e-6

    def power_w(self, frequency_hz: float, utilization: float, tx_rate_bps: float) -> float:
        """Mean power at a clock [Hz], busy share (0 to 1) and uplink rate [bit/s] in W."""
        gpu_w = self.beta_w + utilization * self.gpu_dynamic_power_w(frequency_hz)
        return self.base_w + gpu_w + self.radio_power_w(tx_rate_bps)


_LEAST_POWER_W = 1e-6  # a device that takes less is one whose power is not known
_POWERS = (
    'alpha_w_per_ghz3',
    'beta_w',
    'base_w',
    'radio_fixed_w',
    'radio_w_per_mbps',
    'radio_tail_s',
    'rated_power_w',
)


def _known(value: float) -> bool:
    return math.isfinite(value) and value >= 0.0
