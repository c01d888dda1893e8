"""Saddle-point learners of several step sizes, moved side by side."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.share_layout import carried_over, cold_start, same_layout
from visionscaling_ros.control.slot_plan import SlotPlans

STEP_FACTORS = (0.25, 1.0, 4.0)  # of the primal step

_NEWTON_STEPS = 3
_LENGTHS = np.append(4.0 ** -np.arange(9.0), 0.0)
_PRECISION = 3e-3
_NONE_LEFT = 1e-12
_RIDGE = 1e-4
_IDENTITY = np.eye(4)
_SLACK = 1.0 + 1e-9


class SaddlePointLearners:
    """N learners that descend the last slot's Lagrangian and project onto the coming slot's set.

    ``y_i <- Proj[ y_i - alpha_i (grad phi(y_i) + lambda grad g) ]``, with one multiplier for all,
    so that their losses can be compared. Different from the policy that plays one learner
    alone, each goes on from its own iterate, whatever was played. The projection takes a few
    Newton steps in the dual, from the prices of the last slot on; what is left over a bound is
    scaled away, so that iterates are feasible in any case.
    """

    def __init__(self) -> None:
        self._last: SlotProblem | None = None
        self._shares: Vector = np.zeros((0, 0))
        self._prices: Vector = np.zeros((0, 0))

    def plans(
        self, problem: SlotProblem, settings: ControlSettings, multiplier: float, unit: float
    ) -> SlotPlans:
        """Move on to the coming slot; what each would do in it.

        :param multiplier: lambda [cost per mAP frame/s].
        :param unit: what counts as 1 of the gradient [cost per frame/s].
        """
        last = self._last
        steps = settings.primal_step * np.array(STEP_FACTORS)
        if last is None:
            moved = np.tile(cold_start(problem), (len(steps), 1))
            self._prices = np.zeros((len(steps), len(problem.bounds)))
        else:
            processed_fps = last.arrival_fps * self._shares.sum(axis=1)
            slope = last.energy_slope(settings) + multiplier * last.accuracy_gap_map
            worth = last.rate_slope(processed_fps, settings)
            moved = self._shares - (steps[:, None] / unit) * (slope - worth[:, None])
            if not same_layout(last, problem):
                moved = np.stack([carried_over(each, last, problem) for each in moved])
        moved = np.where(problem.admissible, moved, 0.0) + _displaced(self._shares, problem)
        self._shares, self._prices = _project(moved, problem, self._prices)
        self._last = problem
        return _plans(self._shares, problem)


def _dual(x: Vector, prices: Vector, bounds: Vector) -> Vector:
    """``1/2 |x|^2 + nu b``, with x what the prices leave, last axis summed."""
    value: Vector = 0.5 * (x * x).sum(axis=-1) + prices @ bounds
    return value


def _displaced(shares: Vector, problem: SlotProblem) -> Vector:
    """What ran where it may no longer, as when the edge is gone: it is to start anew, (N, n)."""
    if shares.shape[1:] != problem.admissible.shape:
        return np.zeros(problem.admissible.size)
    lost = np.where(problem.admissible, 0.0, shares).sum(axis=1)
    displaced: Vector = lost[:, None] * cold_start(problem)
    return displaced


def _project(points: Vector, problem: SlotProblem, prices: Vector) -> tuple[Vector, Vector]:
    """Projections of N points onto the problem's set, nearly, and the prices of its resources.

    Projected Newton on the dual ``1/2 |[z - nu A]^+|^2 + nu b`` of every point; of several step
    lengths the best is taken, so that it never rises.
    """
    size = problem.rows.max(axis=1, initial=0.0)
    none_left = problem.bounds <= _NONE_LEFT * size
    points = np.where((problem.rows[none_left] > 0.0).any(axis=0), 0.0, points)
    scale = np.where(none_left | (size <= 0.0), np.inf, size)[:, None]
    rows, bounds = problem.rows / scale, problem.bounds / scale[:, 0]
    bounds = np.where(np.isinf(scale[:, 0]), 1.0, bounds)
    x = np.maximum(points - prices @ rows, 0.0)
    dual = _dual(x, prices, bounds)
    for _ in range(_NEWTON_STEPS):
        over = x @ rows.T - bounds
        active = (prices > 0.0) | (over > 0.0)
        if np.all(np.abs(over) <= _PRECISION * bounds, where=active):
            break
        curvature = ((x > 0.0)[:, None, :] * rows) @ rows.T
        pair = active[:, :, None] & active[:, None, :]
        system = np.where(pair, curvature, 0.0) + _RIDGE * _IDENTITY
        change = np.linalg.solve(system, np.where(active, over, 0.0)[:, :, None])
        full = np.maximum(prices + change[:, :, 0], 0.0)
        there = np.maximum(points - full @ rows, 0.0)
        reached_dual = _dual(there, full, bounds)
        if np.all(reached_dual <= dual):
            prices, x, dual = full, there, reached_dual
            continue
        tried = np.maximum(prices[:, None] + _LENGTHS[:, None] * change[:, None, :, 0], 0.0)
        reached = np.maximum(points[:, None] - tried @ rows, 0.0)
        duals = _dual(reached, tried, bounds)
        best = duals.argmin(axis=1)
        each = np.arange(len(points))
        prices, x, dual = tried[each, best], reached[each, best], duals[each, best]
    use = (x @ rows.T / bounds).max(axis=1, initial=0.0)
    return x / np.maximum(use, 1.0)[:, None], prices


def _plans(shares: Vector, problem: SlotProblem) -> SlotPlans:
    """Rates of the shares, at the lowest level that carries them."""
    count, levels = len(problem.points), len(problem.levels_hz)
    split = count * levels
    local_fps = problem.arrival_fps * shares[:, :split].reshape(-1, count, levels).sum(axis=2)
    edge_fps = problem.arrival_fps * shares[:, split:]
    keeps_up = local_fps @ problem.local_s <= problem.bounds[1] * _SLACK
    level = np.where(keeps_up.any(axis=1), keeps_up.argmax(axis=1), levels - 1)
    return SlotPlans(level, local_fps, edge_fps)
