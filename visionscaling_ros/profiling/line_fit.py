"""Straight lines with no negative part, fitted so that a bad value does little harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from visionscaling_ros.errors import InvalidValueError

_Array = npt.NDArray[np.float64]

HUBER_K = 1.345  # 95 % efficient where the errors are normal (Huber, Robust Statistics, 1981)
MAD_TO_SIGMA = 1.4826
MAX_ITERATIONS = 30


@dataclass(frozen=True)
class Line:
    """``y = slope x + intercept``, both >= 0.

    :param r_squared: share of the variance of y it explains; NaN where y does not vary.
    """

    slope: float
    intercept: float
    r_squared: float


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """The line with slope, intercept >= 0 that lies closest to y > 0 in relative terms.

    Iteratively reweighted least squares with Huber's weights on ``(y - line) / y``. R^2 is that
    of the unweighted residuals. Raises InvalidValueError unless there are two different x, all
    x >= 0 and all y > 0.

    >>> line = fit_line([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    >>> round(line.slope, 6), round(line.intercept, 6), round(line.r_squared, 6)
    (2.0, 1.0, 1.0)
    """
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    _check(xs, ys)
    relative = 1.0 / ys**2
    weights = relative
    slope, intercept = _nonnegative_least_squares(xs, ys, weights)
    for _ in range(MAX_ITERATIONS):
        residuals = np.abs(ys - slope * xs - intercept) / ys
        sigma = MAD_TO_SIGMA * float(np.median(residuals))
        bound = HUBER_K * max(sigma, 1e-12)
        weights = relative * np.minimum(1.0, bound / np.maximum(residuals, bound))
        before = slope, intercept
        slope, intercept = _nonnegative_least_squares(xs, ys, weights)
        if np.allclose(before, (slope, intercept), rtol=1e-9, atol=0.0):
            break
    return Line(slope, intercept, _r_squared(ys, slope * xs + intercept))


def _nonnegative_least_squares(x: _Array, y: _Array, weights: _Array) -> tuple[float, float]:
    """Slope and intercept >= 0 with the least weighted sum of squares, in closed form.

    The problem is convex: where the free optimum is not allowed, the best lies on an edge.
    """
    total = float(weights.sum())
    mean_x, mean_y = float(weights @ x) / total, float(weights @ y) / total
    slope = float(weights @ ((x - mean_x) * (y - mean_y))) / float(weights @ (x - mean_x) ** 2)
    intercept = mean_y - slope * mean_x
    if slope >= 0.0 and intercept >= 0.0:
        return slope, intercept
    edges = ((0.0, mean_y), (float(weights @ (x * y)) / float(weights @ x**2), 0.0))
    return min(edges, key=lambda edge: float(weights @ (y - edge[0] * x - edge[1]) ** 2))


def _r_squared(y: _Array, fitted: _Array) -> float:
    spread = float(((y - y.mean()) ** 2).sum())
    if spread <= 1e-18 * float((y**2).sum()):
        return math.nan
    return 1.0 - float(((y - fitted) ** 2).sum()) / spread


def _check(x: _Array, y: _Array) -> None:
    if len(x) != len(y) or len(set(x.tolist())) < 2:
        raise InvalidValueError('x', x.tolist(), 'at least two different, as many as y')
    _check_all('x', x, np.isfinite(x) & (x >= 0.0), '>= 0')
    _check_all('y', y, np.isfinite(y) & (y > 0.0), '> 0')


def _check_all(name: str, values: _Array, good: npt.NDArray[Any], allowed: str) -> None:
    if not good.all():
        raise InvalidValueError(name, values.tolist(), allowed)
