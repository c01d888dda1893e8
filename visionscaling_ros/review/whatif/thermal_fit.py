"""A first-order thermal model out of a recorded temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.review.whatif.slot_series import Series
from visionscaling_ros.simulation.thermal import Thermal

NO_HEAT = Thermal(1e-6, 1.0, math.inf, math.inf)  # as warm as what is around it; never throttles
_LEAST_SLOTS = 60
_LEAST_SPAN_C = 3.0  # of less nothing can be learned
_RESISTANCES_C_PER_W = 0.05, 30.0
_TIME_CONSTANTS_SLOTS = 3.0, 5000.0
_LARGEST_ERROR = 0.35  # of the spread of the temperature, predicted over the whole second half


@dataclass(frozen=True)
class FittedHeat:
    """A thermal model and the temperature around the device [degC]."""

    thermal: Thermal
    ambient_c: float


def fit_heat(temperature_c: Series, power_w: Series, slot_s: float) -> FittedHeat | None:
    """Least squares of ``T' = k T + (1 - k) (T_a + R P)``; None where that explains too little.

    Fitted to the first half of the slots and believed if it foretells the second from its first
    temperature and the powers alone. Nothing tells when the device throttles, so it never does.

    :param temperature_c: at the end of each slot, shape (T,); NaN: not known.
    """
    slots = len(temperature_c)
    if slots < _LEAST_SLOTS or not np.all(np.isfinite(temperature_c) & np.isfinite(power_w)):
        return None
    if np.ptp(temperature_c) < _LEAST_SPAN_C:
        return None
    half = slots // 2
    before, after, power = temperature_c[: half - 1], temperature_c[1:half], power_w[1:half]
    design = np.column_stack([before, np.ones(half - 1), power])
    (kept, rest, by_power), *_ = np.linalg.lstsq(design, after, rcond=None)
    if not 0.0 < kept < 1.0:
        return None
    resistance, time_slots = by_power / (1.0 - kept), -1.0 / math.log(kept)
    if not (
        _RESISTANCES_C_PER_W[0] <= resistance <= _RESISTANCES_C_PER_W[1]
        and _TIME_CONSTANTS_SLOTS[0] <= time_slots <= _TIME_CONSTANTS_SLOTS[1]
    ):
        return None
    foretold = temperature_c[half]
    errors = []
    for t in range(half + 1, slots):
        foretold = kept * foretold + rest + by_power * power_w[t]
        errors.append(foretold - temperature_c[t])
    if np.sqrt(np.mean(np.square(errors))) > _LARGEST_ERROR * np.std(temperature_c):
        return None
    thermal = Thermal(float(resistance), float(time_slots * slot_s), math.inf, math.inf)
    return FittedHeat(thermal, float(rest / (1.0 - kept)))
