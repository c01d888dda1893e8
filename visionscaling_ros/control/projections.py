"""Euclidean projections onto the sets decisions are taken from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-11
_SUFFICIENT_DECREASE = 1e-4
_SHORTEST_STEP = 1e-12


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
    for row in rows[bounds <= 0.0]:
        start = np.where(row > 0.0, 0.0, start)
    binding = bounds > 0.0
    scaled = rows[binding] / bounds[binding, None]
    x = np.maximum(start, 0.0)
    if not np.all(scaled @ x <= 1.0):
        x = _solve_dual(start, scaled)
    use = float(np.max(scaled @ x, initial=0.0))
    return x / use if use > 1.0 else x


def _solve_dual(point: Vector, rows: Vector) -> Vector:
    """Projection onto ``{x >= 0, rows x <= 1}`` by projected Newton on the dual."""
    sizes = np.sqrt(np.einsum('ij,ij->i', rows, rows))
    dual = _Dual(point, rows / sizes[:, None], 1.0 / sizes)  # prices of similar size
    price = np.zeros(len(rows))
    for _ in range(_MAX_ITERATIONS):
        x = dual.primal(price)
        slope = dual.bounds - dual.rows @ x
        scale = _TOLERANCE * (1.0 + dual.bounds)
        moves = np.where(price > 0.0, np.abs(slope), -slope) > scale
        if not moves.any():
            break
        longer = dual.newton_step(price, x, slope)
        if longer is None:
            break
        price = longer
    return dual.primal(price)


class _Dual:
    """``min_{nu >= 0} 1/2 |[z - A' nu]^+|^2 + b' nu``."""

    def __init__(self, point: Vector, rows: Vector, bounds: Vector) -> None:
        self.point = point
        self.rows = rows
        self.bounds = bounds

    def primal(self, price: Vector) -> Vector:
        """``[z - A' nu]^+``."""
        return np.maximum(self.point - price @ self.rows, 0.0)

    def value(self, price: Vector, x: Vector) -> float:
        return 0.5 * float(x @ x) + float(self.bounds @ price)

    def newton_step(self, price: Vector, x: Vector, slope: Vector) -> Vector | None:
        """Price a projected Newton step further; None if none is lower."""
        held = (price <= 1e-9) & (slope > 0.0)
        working = self.rows[np.ix_(~held, x > 0.0)]
        curvature = working @ working.T
        ridge = 1e-12 * (1.0 + np.trace(curvature)) * np.eye(len(curvature))
        direction = np.where(held, -slope, 0.0)
        direction[~held] = -np.linalg.solve(curvature + ridge, slope[~held])
        value = self.value(price, x)
        length = 1.0
        while length > _SHORTEST_STEP:
            trial = np.maximum(price + length * direction, 0.0)
            enough = _SUFFICIENT_DECREASE * float(slope @ (trial - price))
            if self.value(trial, self.primal(trial)) <= value + enough:
                return trial
            length *= 0.5
        return None
