"""The exact optimum of a slot, over clock levels and fractional rates, without a general solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.frontier import Flags, Indices
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.rate_utility import HALF_RATE_FPS
from visionscaling_ros.control.resource import Resource

_LARGEST_PRICE = 2.0**40  # of accuracy, searching one that meets the constraint
_PRICES = 6  # tried at once between the multiplier and where the queue would go
_PARTS = np.linspace(0.0, 1.0, _PRICES)


@dataclass(frozen=True)
class RateWorth:
    """What the processed rate is worth: ``-w U(P)``, and what falling short of a least rate costs.

    :param weight: w over U of the full rate [cost].
    :param least_fps: rate below which each frame/s missing costs ``least_slope``; 0: none.
    :param least_slope: that cost [cost per frame/s].
    """

    weight: float
    least_fps: float = 0.0
    least_slope: float = 0.0

    def cost(self, processed_fps: Vector) -> Vector:
        """Cost of rates, any shape [cost]."""
        missing_fps = np.maximum(self.least_fps - processed_fps, 0.0)
        cost: Vector = self.least_slope * missing_fps
        cost -= self.weight * processed_fps / (processed_fps + HALF_RATE_FPS)
        return cost

    def worth_until(self, slope: Vector) -> Vector:
        """Rate up to which frames that cost ``slope`` each are worth it, any shape [frames/s]."""
        rate_fps = self._inverse(slope)
        if self.least_fps > 0.0:
            urgent_fps = self._inverse(slope - self.least_slope)
            rate_fps = np.maximum(rate_fps, np.minimum(urgent_fps, self.least_fps))
        return rate_fps

    def _inverse(self, slope: Vector) -> Vector:
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            rate_fps = np.sqrt(self.weight * HALF_RATE_FPS / slope) - HALF_RATE_FPS
        return np.where(slope > 0.0, np.maximum(rate_fps, 0.0), np.inf)


@dataclass(frozen=True)
class RowProblem:
    r"""Convex problems side by side: a row per clock level, with the radio on or off.

    In a row, with rates l run locally at its level and o offloaded [frames/s] and P their sum:

    .. math::
        \min\; E \sum t_k l_k + D \sum b_k o_k + F - w\,U(P) + \lambda \sum (l_k+o_k)(A^*-A_k)

    subject to ``P <= a``, ``sum t l <= T``, ``sum b o <= c`` (and ``sum sigma o <= q``), rates not
    negative: the problem of docs/architecture.md with the GPU clock fixed.

    :param local: busy time on the robot, at price E, and merits A - A*.
    :param edge: uplink and server, at price D.
    :param fixed_cost: F, shape (R,).
    :param arrival_fps: a, shape (R,).
    :param worth: w and U.
    """

    local: Resource
    edge: Resource
    fixed_cost: Vector
    arrival_fps: Vector
    worth: RateWorth

    def rows(self, chosen: Indices) -> RowProblem:
        """Some of the rows, repeats allowed."""
        return RowProblem(
            self.local.rows(chosen),
            self.edge.rows(chosen),
            self.fixed_cost[chosen],
            self.arrival_fps[chosen],
            self.worth,
        )


@dataclass(frozen=True)
class RowPoint:
    """A feasible point of every row.

    :param local_fps: rates of the columns of ``problem.local``, shape (R, V) [frames/s].
    :param edge_fps: rates of the columns of ``problem.edge``, shape (R, V') [frames/s].
    :param cost: phi, shape (R,).
    :param constraint: g, shape (R,) [mAP frames/s].
    """

    local_fps: Vector
    edge_fps: Vector
    cost: Vector
    constraint: Vector

    def rows(self, chosen: Indices) -> RowPoint:
        """Some of the rows, repeats allowed."""
        return RowPoint(
            self.local_fps[chosen],
            self.edge_fps[chosen],
            self.cost[chosen],
            self.constraint[chosen],
        )


def solve(problem: RowProblem, multiplier: Vector) -> RowPoint:
    """Least ``phi + lambda g`` of every row, for ``multiplier`` of shape (R,), not negative.

    Frames are taken in the order of their marginal cost, local and offloaded ones, while the next
    is worth more than it costs. Exact, as marginal costs rise and the utility is concave.
    """
    local_slope, local_length = problem.local.offers(multiplier)
    edge_slope, edge_length = problem.edge.offers(multiplier)
    slope = np.concatenate([local_slope, edge_slope], axis=1)
    length = np.concatenate([local_length, edge_length], axis=1)
    order = slope.argsort(axis=1, kind='stable')
    order += np.arange(0, slope.size, slope.shape[1])[:, None]  # in the flattened array
    length = np.minimum(length.take(order), problem.arrival_fps[:, None])  # more is never taken
    start = length.cumsum(axis=1) - length
    until = np.minimum(problem.worth.worth_until(slope.take(order)), problem.arrival_fps[:, None])
    taken = np.empty_like(length)
    taken.put(order, np.minimum(np.maximum(until - start, 0.0), length))
    split = local_slope.shape[1]
    return point(
        problem, problem.local.rates(taken[:, :split]), problem.edge.rates(taken[:, split:])
    )


def point(problem: RowProblem, local_fps: Vector, edge_fps: Vector) -> RowPoint:
    """Cost and constraint of rates."""
    processed_fps = local_fps.sum(axis=1) + edge_fps.sum(axis=1)
    cost = problem.fixed_cost + problem.worth.cost(processed_fps)
    constraint = np.zeros_like(cost)
    for resource, rates in ((problem.local, local_fps), (problem.edge, edge_fps)):
        cost += np.einsum('rv,rv->r', rates, resource.energy)
        constraint -= np.einsum('rv,rv->r', rates, resource.merit)
    return RowPoint(local_fps, edge_fps, cost, constraint)


def solve_queued(
    problem: RowProblem, at_queue: RowPoint, multiplier: Vector, step: float
) -> RowPoint:
    r"""Least ``phi + ([lambda + mu g]^+)^2 / (2 mu)`` of every row.

    The drift of the virtual queue ``lambda <- [lambda + mu g]^+`` taken as it is, quadratic, in
    place of its linear bound: the price that counts is the one after the slot, so a slot mixes
    configurations instead of going from one extreme to the other. That price solves
    ``p = [lambda + mu g(x(p))]^+`` with g(x(p)) falling in p, so it lies between lambda and
    ``[lambda + mu g(x(lambda))]^+``. The points at a few prices in between are solved at once, and
    the two around it, both optimal at almost the same price, are mixed.

    :param at_queue: ``solve(problem, [lambda]^+)``.
    :param multiplier: lambda, shape (R,); below 0 it is a credit: so much less is asked of g.
    :param step: mu, above 0.
    """
    count = len(problem.arrival_fps)
    near = np.maximum(multiplier, 0.0)
    far = np.maximum(multiplier + step * at_queue.constraint, 0.0)
    least = np.minimum(near, far)[:, None]
    prices = least + _PARTS * np.abs(far - near)[:, None]
    queue = multiplier[:, None]
    rows = np.arange(count)
    tried = solve(problem.rows(np.repeat(rows, _PRICES)), prices.ravel())
    too_low = prices < queue + step * tried.constraint.reshape(prices.shape)
    above = np.minimum(too_low.sum(axis=1), _PRICES - 1)
    below = np.maximum(above - 1, 0)
    price = 0.5 * (prices[rows, below] + prices[rows, above])
    first = rows * _PRICES
    return _mix(
        problem, tried.rows(first + below), tried.rows(first + above), (price - multiplier) / step
    )


def queued_cost(point_: RowPoint, multiplier: Vector, step: float) -> Vector:
    """``phi + ([lambda + mu g]^+)^2 / (2 mu) - ([lambda]^+)^2 / (2 mu)``, shape (R,).

    The cost where g is 0; near ``phi + lambda g`` otherwise.
    """
    before = np.maximum(multiplier, 0.0)
    after = np.maximum(multiplier + step * point_.constraint, 0.0)
    cost: Vector = point_.cost + (after * after - before * before) * (0.5 / step)
    return cost


def solve_constrained(problem: RowProblem, iterations: int) -> tuple[RowPoint, Vector]:
    """Least ``phi`` with ``g <= 0`` of every row, and the multiplier it takes, shape (R,).

    :param iterations: halvings of the bracket around the multiplier, from a factor of 8 on.
    """
    zeros = np.zeros(len(problem.arrival_fps))
    below = solve(problem, zeros)
    low, high = zeros, np.full_like(zeros, 1e-6)
    above = solve(problem, high)
    while np.any(above.constraint > 0.0) and high.max() < _LARGEST_PRICE:
        too_low = above.constraint > 0.0
        low, high = np.where(too_low, high, low), np.where(too_low, 8.0 * high, high)
        below = _choose(too_low, above, below)
        above = solve(problem, high)
    for _ in range(iterations):
        middle = 0.5 * (low + high)
        tried = solve(problem, middle)
        too_low = tried.constraint > 0.0
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
        below, above = _choose(too_low, tried, below), _choose(too_low, above, tried)
    return _mix(problem, below, above, zeros), high


def _choose(first: Flags, one: RowPoint, other: RowPoint) -> RowPoint:
    """Rows of ``one`` where ``first``, else of ``other``."""
    wide = first[:, None]
    return RowPoint(
        np.where(wide, one.local_fps, other.local_fps),
        np.where(wide, one.edge_fps, other.edge_fps),
        np.where(first, one.cost, other.cost),
        np.where(first, one.constraint, other.constraint),
    )


def _mix(problem: RowProblem, below: RowPoint, above: RowPoint, wanted: Vector) -> RowPoint:
    """Mix of two points with the constraint wanted, as far as it lies between theirs."""
    span = below.constraint - above.constraint
    share = np.zeros_like(span)
    np.divide(wanted - above.constraint, span, out=share, where=span > 0.0)
    share = np.clip(share, 0.0, 1.0)[:, None]
    return point(
        problem,
        share * below.local_fps + (1.0 - share) * above.local_fps,
        share * below.edge_fps + (1.0 - share) * above.edge_fps,
    )
