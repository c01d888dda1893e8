"""How long local frames really took, by how busy the robot was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import OperatingPoint, Origin, SlotState
from visionscaling_ros.review.whatif.gaps import filled
from visionscaling_ros.review.whatif.slot_series import Mask, Series

_PRIOR_OWN, _PRIOR_COMMON, _PRIOR_SLOWDOWN = 0.1, 0.5, 0.5  # standard deviations of logarithms
_NOISE = 0.05
_LEAST_BUSY = 0.01  # a robot busy for less of the slot tells nothing
_SMOOTHED_SLOTS = 5  # what is common wanders; single slots are noise
_MOST_BUSY = 1e3  # more is no measurement
_LARGEST = math.log(5.0)


@dataclass(frozen=True, eq=False)
class LatencyFit:
    """Factors on local latency.

    :param bias: of every configuration, shape (K,).
    :param factor: of every slot, shape (T,).
    :param slowdown: logarithm of the factor while the server does nothing but this robot's frames,
        at least 0: robot and server may share a machine.
    """

    bias: Series
    factor: Series
    slowdown: float


def fit_latency(
    states: Sequence[SlotState], points: Sequence[tuple[OperatingPoint, ...]], kept: Mask
) -> LatencyFit:
    """Least squares with weak priors of ``busy_t = factor_t exp(s u_t) sum rate_k bias_k t_k(f)``.

    u is the time the server takes for the robot's frames. Of the residuals' logarithm a part
    belongs to each configuration and to the slowdown s, the rest is the slot's, smoothed over its
    neighbours; slots that are not kept, or tell nothing, lie on the line between theirs.

    :param points: the K configurations as the robot knew them in each slot, T tuples.
    :param kept: slots that may be learned from, shape (T,).
    """
    count = len(points[0])
    index = {(p.model, p.input_size_px): k for k, p in enumerate(points[0])}
    shares = np.zeros((len(states), count))
    served = np.array([_served(state, points[t], index) for t, state in enumerate(states)])
    residuals = np.full(len(states), np.nan)
    for t, state in enumerate(states):
        if kept[t]:
            residuals[t] = _residual(state, points[t], index, shares[t])
    known = np.isfinite(residuals)
    if not known.any():
        return LatencyFit(np.ones(count), np.ones(len(states)), 0.0)
    logs, slowdown = _regressed(residuals[known], shares[known], served[known])
    if slowdown <= 0.0:
        logs, _ = _regressed(residuals[known], shares[known], np.zeros(int(known.sum())))
        slowdown = 0.0
    rest = np.full(len(states), np.nan)
    rest[known] = residuals[known] - shares[known] @ logs - slowdown * served[known]
    factor = np.exp(np.clip(filled(_smoothed(rest), default=0.0), -_LARGEST, _LARGEST))
    return LatencyFit(np.exp(logs), np.asarray(factor, np.float64), slowdown)


def _regressed(residuals: Series, shares: Series, served: Series) -> tuple[Series, float]:
    """Logarithms of the configurations' factors, and the slowdown."""
    count = shares.shape[1]
    design = np.column_stack([np.ones(len(residuals)), served, shares])
    scale = np.array([_PRIOR_COMMON, _PRIOR_SLOWDOWN, *[_PRIOR_OWN] * count])
    solved, *_ = np.linalg.lstsq(
        np.concatenate([design / _NOISE, np.diag(1.0 / scale)]),
        np.concatenate([residuals / _NOISE, np.zeros(2 + count)]),
        rcond=None,
    )
    return solved[2:], float(solved[1])


def _served(
    state: SlotState, points: tuple[OperatingPoint, ...], index: dict[tuple[str, int], int]
) -> float:
    """Time the server took for the robot's frames, a second."""
    total = 0.0
    for ran in state.processed:
        k = index.get((ran.model, ran.input_size_px))
        if ran.origin is not Origin.LOCAL and k is not None:
            total += ran.rate_fps * points[k].server_time_s
    return min(total, 1.0) if math.isfinite(total) else 0.0


def _residual(
    state: SlotState,
    points: tuple[OperatingPoint, ...],
    index: dict[tuple[str, int], int],
    shares: Series,
) -> float:
    """Logarithm of busy over expected; fills in the configurations' shares of the expected time."""
    busy, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
    if not (_LEAST_BUSY < busy <= 1.0 and 0.0 < frequency_hz < math.inf):
        return math.nan
    for ran in state.processed:
        k = index.get((ran.model, ran.input_size_px))
        if ran.origin is Origin.LOCAL and k is not None:
            shares[k] += ran.rate_fps * points[k].local_latency_s(frequency_hz)
    expected = float(shares.sum())
    if not _LEAST_BUSY < expected < _MOST_BUSY:
        shares[:] = 0.0
        return math.nan
    shares /= expected
    return math.log(busy / expected)


def _smoothed(values: Series) -> Series:
    """Mean of the known values within a few slots; NaN stays NaN."""
    known = np.isfinite(values)
    window = np.ones(2 * _SMOOTHED_SLOTS + 1)
    total = np.convolve(np.where(known, values, 0.0), window)[_SMOOTHED_SLOTS:][: len(values)]
    count = np.convolve(known.astype(float), window)[_SMOOTHED_SLOTS:][: len(values)]
    return np.where(known, total / np.maximum(count, 1.0), np.nan)
