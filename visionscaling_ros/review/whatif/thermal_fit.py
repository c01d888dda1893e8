"""A first-order thermal model out of a recorded temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.review.whatif.slot_series import Mask, Series
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


def fit_heat(
    temperature_c: Series, power_w: Series, slot_s: float, kept: Mask
) -> FittedHeat | None:
    """Least squares of ``T' = k T + (1 - k) (T_a + R P)``; None where that explains too little.

    Fitted to the first half of the slots kept and believed if it foretells the second from the
    powers and the temperature at its begin, and after every gap, alone. Nothing tells when the
    device throttles, so it never does.

    :param temperature_c: at the end of each slot, shape (T,); NaN: not known.
    :param kept: slots that may be learned from, shape (T,).
    """
    slots = np.flatnonzero(kept)
    if not _tell_enough(temperature_c[slots], power_w[slots]):
        return None
    half = int(slots[len(slots) // 2])
    after = np.flatnonzero(kept[1:half] & kept[: half - 1]) + 1
    design = np.column_stack([temperature_c[after - 1], np.ones(len(after)), power_w[after]])
    (stays, rest, by_power), *_ = np.linalg.lstsq(design, temperature_c[after], rcond=None)
    if not 0.0 < stays < 1.0:
        return None
    resistance, time_slots = by_power / (1.0 - stays), -1.0 / math.log(stays)
    if not (
        _RESISTANCES_C_PER_W[0] <= resistance <= _RESISTANCES_C_PER_W[1]
        and _TIME_CONSTANTS_SLOTS[0] <= time_slots <= _TIME_CONSTANTS_SLOTS[1]
    ):
        return None
    foretold = temperature_c[half]
    errors = []
    for t in range(half + 1, len(kept)):
        if kept[t] and kept[t - 1]:
            foretold = stays * foretold + rest + by_power * power_w[t]
            errors.append(foretold - temperature_c[t])
        else:
            foretold = temperature_c[t]
    largest_c = _LARGEST_ERROR * np.std(temperature_c[slots])
    if not errors or np.sqrt(np.mean(np.square(errors))) > largest_c:
        return None
    thermal = Thermal(float(resistance), float(time_slots * slot_s), math.inf, math.inf)
    return FittedHeat(thermal, float(rest / (1.0 - stays)))


def _tell_enough(temperature_c: Series, power_w: Series) -> bool:
    known = np.isfinite(temperature_c) & np.isfinite(power_w)
    enough = len(known) >= _LEAST_SLOTS and bool(known.all())
    return enough and float(np.ptp(temperature_c)) >= _LEAST_SPAN_C
