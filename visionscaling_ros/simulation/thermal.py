"""How warm the GPU gets, and what the device does about it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError


@dataclass(frozen=True)
class Thermal:
    """One thermal resistance and one capacity, and throttling with hysteresis.

    :param resistance_c_per_w: how much warmer than its surroundings 1 W makes it [K/W].
    :param time_constant_s: resistance times capacity [s].
    :param throttle_c: from here on the highest clock allowed falls by one level a slot [degC].
    :param release_c: below this it rises by one level a slot again [degC].
    """

    resistance_c_per_w: float
    time_constant_s: float
    throttle_c: float
    release_c: float

    def __post_init__(self) -> None:
        for name in ('resistance_c_per_w', 'time_constant_s'):
            if not getattr(self, name) > 0.0:
                raise InvalidValueError(f'thermal.{name}', getattr(self, name), 'above 0')
        if not self.release_c <= self.throttle_c:
            raise InvalidValueError(
                'thermal.release_c', self.release_c, f'at most throttle_c = {self.throttle_c}'
            )

    def steady_c(self, power_w: float, ambient_c: float) -> float:
        """Where a power [W] held for ever ends, surroundings at ``ambient_c`` [degC]."""
        return ambient_c + self.resistance_c_per_w * power_w


class ThermalState:
    """Temperature and the highest clock level allowed, slot by slot.

    ``T(t + tau) = T_inf + (T(t) - T_inf) exp(-tau / RC)`` with ``T_inf = T_ambient + R P``: the
    exact solution of the first-order model for a power constant within the slot.

    :param top_level: index of the device's highest clock level.
    :param temperature_c: at the start [degC].
    """

    def __init__(
        self, thermal: Thermal, *, slot_s: float, top_level: int, temperature_c: float
    ) -> None:
        self._thermal = thermal
        self._kept = math.exp(-slot_s / thermal.time_constant_s)
        self._top_level = top_level
        self.temperature_c = temperature_c
        self.highest_level = top_level

    def step(self, power_w: float, ambient_c: float) -> float:
        """A slot at a mean power [W]; returns the temperature at its end [degC]."""
        thermal = self._thermal
        end_c = thermal.steady_c(power_w, ambient_c)
        self.temperature_c = end_c + (self.temperature_c - end_c) * self._kept
        if self.temperature_c >= thermal.throttle_c:
            self.highest_level = max(self.highest_level - 1, 0)
        elif self.temperature_c < thermal.release_c:
            self.highest_level = min(self.highest_level + 1, self._top_level)
        return self.temperature_c
