"""Euclidean projections onto the sets decisions are taken from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_MAX_ITERATIONS = 1000  # far more than usual: two resources used nearly alike take hundreds
_PRECISION = 1e-14
_NONE_LEFT = 1e-12  # a bound this small, as a share of its row's largest entry, counts as 0
_NEVER_BINDS = 1e-100  # and this small an entry, as a share of its bound
_RIDGE = 1e-12  # keeps Newton's system solvable where few variables are left


def project_packing_polytope(point: Vector, rows: Vector, bounds: Vector) -> Vector:
    r"""Projection onto a polytope of few resources.

    .. math:: \arg\min_x \tfrac12 \|x - z\|^2 \quad\text{s.t.}\quad x \ge 0,\; A x \le b

    with ``A >= 0`` and ``b >= 0``, so the set is never empty. Solved in the dual, which has one
    variable per resource, ``min_{nu >= 0} 1/2 |[z - A' nu]^+|^2 + b' nu``, by a projected Newton
    method (Bertsekas 1982); the dual is piecewise quadratic, so Newton ends after few steps with
    the exact solution ``x = [z - A' nu]^+``. What rounding leaves over a bound is scaled away:
    the result is feasible to machine precision.

    :param point: z, shape (n,).
    :param rows: A, shape (m, n), not negative.
    :param bounds: b, shape (m,), not negative.
    :returns: x, shape (n,).
    """
    start = point
    most = rows.max(axis=1, initial=0.0)
    none_left = bounds <= _NONE_LEFT * most
    for row in rows[none_left]:
        start = np.where(row > 0.0, 0.0, start)
    binding = ~none_left & (most > _NEVER_BINDS * bounds)
    scaled = rows[binding] / bounds[binding, None]
    x = np.maximum(start, 0.0)
    if not np.all(scaled @ x <= 1.0):
        x = _solve_dual(start, scaled)
    use = float(np.max(scaled @ x, initial=0.0))
    return x / use if use > 1.0 else x


def _solve_dual(point: Vector, rows: Vector) -> Vector:
    """Projection onto ``{x >= 0, rows x <= 1}`` by projected Newton on the dual."""
    sizes = rows.max(axis=1)
    dual = _Dual(point, rows / sizes[:, None], 1.0 / sizes)  # prices of similar size
    precision = _PRECISION * (dual.bounds + dual.rows @ np.abs(point))
    price = np.zeros(len(rows))
    for _ in range(_MAX_ITERATIONS):
        x = dual.primal(price)
        slope = dual.bounds - dual.rows @ x
        if np.all(np.where(price > 0.0, np.abs(slope), -slope) <= precision):
            break
        following = dual.descend(price, x, slope)
        if np.array_equal(following, price):
            break
        price = following
    return dual.primal(price)


class _Dual:
    """``min_{nu >= 0} 1/2 |[z - A' nu]^+|^2 + b' nu`` with entries of A up to 1 in every row."""

    def __init__(self, point: Vector, rows: Vector, bounds: Vector) -> None:
        self.point = point
        self.rows = rows
        self.bounds = bounds

    def primal(self, price: Vector) -> Vector:
        """``[z - A' nu]^+``."""
        x: Vector = np.maximum(self.point - price @ self.rows, 0.0)
        return x

    def descend(self, price: Vector, x: Vector, slope: Vector) -> Vector:
        """The least dual value along Newton's direction, short of a price below 0."""
        held = (price <= 0.0) & (slope > 0.0)
        working = self.rows[:, x > 0.0]
        curvature = np.where(held[:, None] | held, 0.0, working @ working.T)
        downhill = np.where(held, 0.0, -slope)
        ridged = curvature + _RIDGE * np.eye(len(slope))
        direction = np.linalg.solve(ridged, downhill).astype(np.float64)
        if np.any((price <= 0.0) & (direction < 0.0)):  # Newton would leave at once
            direction[:] = downhill
        falling = direction < 0.0
        longest = float(np.min(price[falling] / -direction[falling], initial=np.inf))
        length = self._best_length(price, direction, longest)
        following = np.maximum(price + length * direction, 0.0)
        if length == longest:
            following[falling & (price + length * direction <= _PRECISION * price)] = 0.0
        return following

    def _best_length(self, price: Vector, direction: Vector, longest: float) -> float:
        """Where the dual stops falling along a direction: its slope there is piecewise linear."""
        level = self.point - price @ self.rows
        fall = direction @ self.rows
        start = float(self.bounds @ direction)

        def slope(length: float) -> float:
            return start - float(fall @ np.maximum(level - length * fall, 0.0))

        with np.errstate(divide='ignore', over='ignore', invalid='ignore'):
            breaks = level / fall
        kinks = np.sort(breaks[(breaks > 0.0) & (breaks < longest)])
        low, high = 0, kinks.size  # the slope is negative before kink `low`, not so at `high`
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if slope(kinks[middle]) < 0.0 else (low, middle)
        before = float(kinks[low - 1]) if low > 0 else 0.0
        after = float(kinks[low]) if low < kinks.size else min(longest, 2.0 * before + 1.0)
        rise = (slope(after) - slope(before)) / (after - before)
        return min(longest, before - slope(before) / rise) if rise > 0.0 else after
