"""What a resource carries at which marginal cost: the robot's time, the uplink, a server."""

from __future__ import annotations

import copy
from typing import Protocol

import numpy as np

from visionscaling_ros.control.frontier import Indices
from visionscaling_ros.control.projections import Vector

_NO_STEP = 1e-12  # of a rate: this much more of it is none


class Resource(Protocol):
    """Configurations that share a resource; every method works on R rows at once.

    :ivar index: configuration of each column, shape (R, V).
    :ivar energy: cost of the energy a frame/s in it takes, shape (R, V) [cost per frame/s].
    :ivar merit: its accuracy above the target, shape (R, V) [mAP].
    """

    index: Indices
    energy: Vector
    merit: Vector

    def offers(self, multiplier: Vector) -> tuple[Vector, Vector]:
        """Frames/s on offer, dearer and dearer: marginal costs and lengths, shape (R, S) each."""

    def rates(self, taken: Vector) -> Vector:
        """Rates of the columns, shape (R, V), for what was taken of the last offers, (R, S)."""

    def rows(self, chosen: Indices) -> Resource:
        """The same for some rows, repeats allowed."""


class OneResource:
    """One resource of limited amount: n frames/s are carried best along a concave envelope.

    At most ``budget / use_v`` frames/s run in v. For a price of accuracy the cheapest vertex takes
    the first frames; once the resource is used up, frames move from one vertex to the next that
    takes less, at marginal costs that rise. The vertices are those of the upper concave envelope of
    accuracy against use, for every price of accuracy and of the resource alike.

    :param index: vertices from highest accuracy to least use, the last repeated, shape (R, V).
    :param use: shape (R, V), above 0.
    :param merit: accuracy above the target, shape (R, V) [mAP].
    :param price: cost of a unit of the resource, shape (R,).
    :param budget: shape (R,); 0 where nothing can be carried.
    """

    def __init__(
        self, index: Indices, *, use: Vector, merit: Vector, price: Vector, budget: Vector
    ) -> None:
        self.index, self.merit = index, merit
        self.energy = price[:, None] * use
        self._use = use
        self._set_budget(budget)
        # Merit one frame more adds on the way to a vertex from the one before it, which takes
        # none of the resource: where the chord of the two meets use 0.
        self._gain = np.zeros_like(use)
        run = use[:, :-1] - use[:, 1:]
        chord = merit[:, 1:] * use[:, :-1] - merit[:, :-1] * use[:, 1:]
        np.divide(chord, run, out=self._gain[:, 1:], where=run > 0.0)
        self._columns = np.arange(use.shape[1])

    def _set_budget(self, budget: Vector) -> None:
        self._full = budget[:, None] / self._use
        self._step = np.zeros_like(self._full)
        self._step[:, 1:] = np.maximum(self._full[:, 1:] - self._full[:, :-1], 0.0)
        self._length = self._full

    def with_budget(self, budget: Vector) -> OneResource:
        """The same with other budgets, shape (R,)."""
        other = copy.copy(self)
        other._set_budget(budget)
        return other

    def offers(self, multiplier: Vector) -> tuple[Vector, Vector]:
        """Marginal costs and lengths, shape (R, V); nothing before the cheapest vertex."""
        worth = multiplier[:, None]
        cost = self.energy - worth * self.merit
        first = cost.argmin(axis=1)[:, None]
        is_first, is_after = self._columns == first, self._columns > first
        slope = np.where(is_after, -worth * self._gain, -np.inf)
        slope = np.where(is_first, cost, slope)
        self._length = self._step * is_after + self._full * is_first
        # Convex but for rounding; frames must reach a vertex before they go on to the next.
        return np.maximum.accumulate(slope, axis=1), self._length

    def rates(self, taken: Vector) -> Vector:
        """Rates of the vertices, shape (R, V)."""
        share = np.zeros_like(taken)  # how far each vertex is reached
        np.divide(taken, self._length, out=share, where=self._length > 0.0)
        share[:, :-1] -= share[:, 1:].copy()  # what goes on to the next is not left here
        return self._full * np.maximum(share, 0.0)

    def rows(self, chosen: Indices) -> OneResource:
        """The same for some rows, repeats allowed."""
        some = object.__new__(OneResource)
        some.index, some.merit, some.energy = (
            self.index[chosen], self.merit[chosen], self.energy[chosen]
        )  # fmt: skip
        some._full, some._step, some._gain = (
            self._full[chosen], self._step[chosen], self._gain[chosen]
        )  # fmt: skip
        some._use = self._use[chosen]
        some._columns, some._length = self._columns, some._full
        return some


class TwoResources:
    """Two resources, as when the server's time binds besides the uplink.

    The corners of ``{o >= 0, sum use o <= budget, sum second o <= second_budget}`` run at most two
    configurations. For a price of accuracy, the cheapest ways to carry m frames/s lie on the lower
    convex hull of all corners' rate and cost; it is walked from 0 to the steepest, row by row.

    :param index: configurations, shape (R, V).
    :param use: shape (R, V), above 0.
    :param merit: accuracy above the target, shape (R, V) [mAP].
    :param price: of the first resource, shape (R,).
    :param budget: of the first resource, shape (R,).
    :param second: use of the other resource, shape (R, V), not negative.
    :param second_budget: shape (R,).
    """

    def __init__(
        self,
        index: Indices,
        *,
        use: Vector,
        merit: Vector,
        price: Vector,
        budget: Vector,
        second: Vector,
        second_budget: Vector,
    ) -> None:
        self.index, self.merit = index, merit
        self.energy = price[:, None] * use
        self._corners = np.concatenate(
            [
                _single_corners(use, budget, second, second_budget),
                _pair_corners(use, budget, second, second_budget),
            ],
            axis=1,
        )
        self._rate = self._corners.sum(axis=2)
        self._corner_energy = np.einsum('rck,rk->rc', self._corners, self.energy)
        self._corner_merit = np.einsum('rck,rk->rc', self._corners, merit)
        self._steps: list[tuple[Vector, Vector]] = []

    def offers(self, multiplier: Vector) -> tuple[Vector, Vector]:
        """Marginal costs and lengths along the hull, shape (R, S)."""
        cost = self._corner_energy - multiplier[:, None] * self._corner_merit
        rows = np.arange(len(cost))
        at_rate, at_cost = np.zeros(len(cost)), np.zeros(len(cost))
        at = np.zeros_like(self._corners[:, 0])
        slopes, lengths = [np.zeros(len(cost))], [np.zeros(len(cost))]
        self._steps = []
        while True:
            run = self._rate - at_rate[:, None]
            ahead = run > _NO_STEP * self._rate
            going = ahead.any(axis=1)
            if not going.any():
                break
            slope = np.full_like(cost, np.inf)
            np.divide(cost - at_cost[:, None], run, out=slope, where=ahead)
            best = slope.argmin(axis=1)
            length = np.where(going, run[rows, best], 0.0)
            slopes.append(np.where(going, slope[rows, best], np.inf))
            lengths.append(length)
            corner = np.where(going[:, None], self._corners[rows, best], at)
            self._steps.append((corner - at, length))
            at = corner
            at_rate = np.where(going, self._rate[rows, best], at_rate)
            at_cost = np.where(going, cost[rows, best], at_cost)
        slopes[0] = np.full(len(cost), -np.inf)
        slope = np.maximum.accumulate(np.stack(slopes, axis=1), axis=1)  # convex but for rounding
        return slope, np.stack(lengths, axis=1)

    def rates(self, taken: Vector) -> Vector:
        """Rates of the configurations, shape (R, V)."""
        total = np.zeros_like(self.merit)
        for column, (change, length) in enumerate(self._steps, start=1):
            share = np.zeros(len(taken))
            np.divide(taken[:, column], length, out=share, where=length > 0.0)
            total += share[:, None] * change
        return np.maximum(total, 0.0)

    def rows(self, chosen: Indices) -> TwoResources:
        """The same for some rows, repeats allowed."""
        some = object.__new__(TwoResources)
        some.index, some.merit, some.energy = (
            self.index[chosen], self.merit[chosen], self.energy[chosen]
        )  # fmt: skip
        some._corners, some._rate = self._corners[chosen], self._rate[chosen]
        some._corner_energy = self._corner_energy[chosen]
        some._corner_merit = self._corner_merit[chosen]
        some._steps = []
        return some


def _single_corners(
    use: Vector, budget: Vector, second: Vector, second_budget: Vector
) -> Vector:
    """All of one configuration until either resource is used up, shape (R, K, K)."""
    with np.errstate(divide='ignore', invalid='ignore'):
        first_fps = budget[:, None] / use
        second_fps = np.where(second > 0.0, second_budget[:, None] / second, np.inf)
    fps = np.minimum(first_fps, second_fps)
    corners: Vector = fps[:, :, None] * np.eye(use.shape[1])
    return corners


def _pair_corners(
    use: Vector, budget: Vector, second: Vector, second_budget: Vector
) -> Vector:
    """Two configurations that use up both resources, shape (R, K (K - 1) / 2, K)."""
    one, other = np.triu_indices(use.shape[1], 1)
    determinant = use[:, one] * second[:, other] - use[:, other] * second[:, one]
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        one_fps = (
            budget[:, None] * second[:, other] - second_budget[:, None] * use[:, other]
        ) / determinant
        other_fps = (
            second_budget[:, None] * use[:, one] - budget[:, None] * second[:, one]
        ) / determinant
    real = (one_fps > 0.0) & (other_fps > 0.0) & np.isfinite(one_fps) & np.isfinite(other_fps)
    corners = np.zeros((*one_fps.shape, use.shape[1]))
    pair = np.arange(one.size)
    corners[:, pair, one] = np.where(real, one_fps, 0.0)
    corners[:, pair, other] = np.where(real, other_fps, 0.0)
    return corners
