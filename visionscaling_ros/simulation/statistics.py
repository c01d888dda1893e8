"""Means with confidence intervals, and how fast a cumulative curve grows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom: NIST/SEMATECH e-Handbook
# of Statistical Methods, 1.3.6.7.2.
T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
NORMAL_95 = 1.960

CURVE_POINTS = 60
GROWTH_WINDOW = 100.0  # the exponent is fitted from a hundredth of the time on


def mean_ci95(values: Sequence[float]) -> tuple[float, float]:
    """Mean of the finite values and half the width of its 95 % confidence interval.

    Student's t over independent seeds; NaN where there are too few values to tell.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan, math.nan
    mean = math.fsum(finite) / len(finite)
    freedom = len(finite) - 1
    if freedom == 0:
        return mean, math.nan
    variance = math.fsum((value - mean) ** 2 for value in finite) / freedom
    quantile = T_95[freedom - 1] if freedom <= len(T_95) else NORMAL_95 + 2.5 / freedom
    return mean, quantile * math.sqrt(variance / len(finite))


def curve_slots(slots: int) -> npt.NDArray[np.int64]:
    """Numbers of slots at which cumulative curves are kept: evenly spread in their logarithm."""
    spread = np.geomspace(1, slots, CURVE_POINTS)
    return np.unique(np.rint(spread).astype(np.int64))


def growth_exponent(cumulative: Vector) -> float:
    """Exponent p of the power law t^p nearest to a cumulative curve over its last two decades.

    Least squares of the logarithms over ``curve_slots``. A curve that also falls is followed by
    the highest it has been so far, which never grows slower; nothing is below the T-th part of
    its end, so that a line has exponent 1 whenever it begins. 0: the curve is never above 0.

    :param cumulative: its value after every slot, shape (T,).
    """
    highest = np.maximum.accumulate(np.maximum(cumulative, 0.0))
    slots = len(highest)
    kept = curve_slots(slots)
    kept = kept[kept >= slots / GROWTH_WINDOW]
    if slots < 2 or highest[-1] <= 0.0:
        return 0.0
    values = np.maximum(highest[kept - 1], highest[-1] / slots)
    slope, _ = np.polyfit(np.log(kept), np.log(values), 1)
    return float(slope)
