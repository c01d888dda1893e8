"""What a resource can carry at which marginal cost: busy time on the robot, the uplink, a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from visionscaling_ros.control.frontier import Flags, Indices, envelope
from visionscaling_ros.control.projections import Vector


class Resource(Protocol):
    """Configurations that share a resource; every method works on R rows at once.

    ``index`` holds the configuration of each column, ``use`` what a frame in it takes of the
    resource, ``accuracy`` its mAP, all of shape (R, V); ``price`` the cost of a unit, shape (R,).
    """

    index: Indices
    use: Vector
    accuracy: Vector
    price: Vector

    def offers(self, multiplier: Vector, target: Vector) -> tuple[Vector, Vector]:
        """Frames/s on offer, dearer and dearer: marginal costs and lengths, shape (R, S) each."""

    def rates(self, taken: Vector) -> Vector:
        """Rates of the columns, shape (R, V), for what was taken of the last offers, (R, S)."""

    def rows(self, chosen: Indices) -> Resource:
        """The same for some rows, repeats allowed."""


@dataclass
class OneResource:
    """One resource of limited amount: n frames/s are carried best along a concave envelope.

    At most ``budget / use_v`` frames/s run in v. For a price of accuracy the cheapest vertex takes
    the first frames; once the resource is used up, frames move from one vertex to the next that
    takes less, at marginal costs that rise. The vertices are those of the upper concave envelope of
    accuracy against use, for every price of accuracy and of the resource alike.

    :param index: vertices from highest accuracy to least use, the last repeated, shape (R, V).
    :param use: shape (R, V), above 0.
    :param accuracy: shape (R, V) [mAP].
    :param price: shape (R,).
    :param budget: shape (R,); 0 where nothing can be carried.
    """

    index: Indices
    use: Vector
    accuracy: Vector
    price: Vector
    budget: Vector

    def __post_init__(self) -> None:
        use, accuracy = self.use, self.accuracy
        self._columns = np.arange(use.shape[1])
        self._full = self.budget[:, None] / use
        self._step = np.zeros_like(use)
        self._step[:, 1:] = np.maximum(self._full[:, 1:] - self._full[:, :-1], 0.0)
        # Accuracy one frame more adds on the way to a vertex from the one before it, which takes
        # none of the resource: where the chord of the two meets use 0.
        self._gain = np.zeros_like(use)
        run = use[:, :-1] - use[:, 1:]
        chord = accuracy[:, 1:] * use[:, :-1] - accuracy[:, :-1] * use[:, 1:]
        np.divide(chord, run, out=self._gain[:, 1:], where=run > 0.0)
        self._length = self._full

    @classmethod
    def build(
        cls, use: Vector, accuracy: Vector, usable: Flags, price: Vector, budget: Vector
    ) -> OneResource:
        """From all configurations: use (R, K), accuracy (K,), usable (R, K)."""
        index = envelope(use, np.broadcast_to(accuracy, use.shape), usable)
        any_usable = usable.any(axis=1)
        use = np.where(any_usable[:, None], np.take_along_axis(use, index, 1), 1.0)
        return cls(index, use, accuracy[index], price, np.where(any_usable, budget, 0.0))

    def offers(self, multiplier: Vector, target: Vector) -> tuple[Vector, Vector]:
        """Marginal costs and lengths, shape (R, V); nothing before the cheapest vertex."""
        worth = multiplier[:, None]
        cost = self.price[:, None] * self.use - worth * (self.accuracy - target[:, None])
        first = cost.argmin(axis=1)[:, None]
        slope = worth * (target[:, None] - self._gain)
        slope = np.where(self._columns == first, cost, slope)
        slope = np.where(self._columns < first, -np.inf, slope)
        begin = np.where(self._columns == first, self._full, 0.0)
        self._length = np.where(self._columns > first, self._step, begin)
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
        return OneResource(
            self.index[chosen],
            self.use[chosen],
            self.accuracy[chosen],
            self.price[chosen],
            self.budget[chosen],
        )


class TwoResources:
    """Two resources, as when the server's time binds besides the uplink.

    The corners of ``{o >= 0, sum use o <= budget, sum second o <= second_budget}`` run at most two
    configurations. For a price of accuracy, the cheapest ways to carry m frames/s lie on the lower
    convex hull of all corners' rate and cost; it is walked from 0 to the steepest, row by row.

    :param index: configurations, shape (R, V).
    :param use: shape (R, V), above 0 where usable.
    :param accuracy: shape (R, V) [mAP].
    :param usable: shape (R, V).
    :param price: of the first resource, shape (R,).
    :param budget: of the first resource, shape (R,).
    :param second: use of the other resource, shape (R, V), not negative.
    :param second_budget: shape (R,).
    """

    def __init__(
        self,
        index: Indices,
        use: Vector,
        accuracy: Vector,
        usable: Flags,
        price: Vector,
        budget: Vector,
        second: Vector,
        second_budget: Vector,
    ) -> None:
        self.index, self.accuracy, self.price = index, accuracy, price
        self.use = np.where(usable, use, 0.0)
        self._arguments = (index, use, accuracy, usable, price, budget, second, second_budget)
        self._corners = np.concatenate(
            [
                _single_corners(use, usable, budget, second, second_budget),
                _pair_corners(use, usable, budget, second, second_budget),
            ],
            axis=1,
        )
        self._rate = self._corners.sum(axis=2)
        self._energy = price[:, None] * np.einsum('rck,rk->rc', self._corners, self.use)
        self._merit = np.einsum('rck,rk->rc', self._corners, self.accuracy)
        self._steps: list[tuple[Vector, Vector]] = []

    def offers(self, multiplier: Vector, target: Vector) -> tuple[Vector, Vector]:
        """Marginal costs and lengths along the hull, shape (R, S)."""
        worth = multiplier[:, None]
        cost = self._energy - worth * (self._merit - target[:, None] * self._rate)
        rows = np.arange(len(cost))
        at_rate, at_cost = np.zeros(len(cost)), np.zeros(len(cost))
        at = np.zeros_like(self._corners[:, 0])
        slopes, lengths = [], []
        self._steps = []
        while True:
            run = self._rate - at_rate[:, None]
            ahead = run > 1e-12 * self._rate
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
        if not slopes:
            return np.zeros((len(cost), 1)), np.zeros((len(cost), 1))
        slope = np.maximum.accumulate(np.stack(slopes, axis=1), axis=1)  # convex but for rounding
        return slope, np.stack(lengths, axis=1)

    def rates(self, taken: Vector) -> Vector:
        """Rates of the configurations, shape (R, K)."""
        total = np.zeros_like(self.use)
        for column, (change, length) in enumerate(self._steps):
            share = np.zeros(len(taken))
            np.divide(taken[:, column], length, out=share, where=length > 0.0)
            total += share[:, None] * change
        return np.maximum(total, 0.0)

    def rows(self, chosen: Indices) -> TwoResources:
        """The same for some rows, repeats allowed."""
        return TwoResources(*(values[chosen] for values in self._arguments))


def _single_corners(
    use: Vector, usable: Flags, budget: Vector, second: Vector, second_budget: Vector
) -> Vector:
    """All of one configuration until either resource is used up, shape (R, K, K)."""
    with np.errstate(divide='ignore', invalid='ignore'):
        first_fps = np.where(usable, budget[:, None] / use, 0.0)
        second_fps = np.where(second > 0.0, second_budget[:, None] / second, np.inf)
    fps = np.minimum(first_fps, second_fps)
    corners: Vector = fps[:, :, None] * np.eye(use.shape[1])
    return corners


def _pair_corners(
    use: Vector, usable: Flags, budget: Vector, second: Vector, second_budget: Vector
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
    both = usable[:, one] & usable[:, other]
    real = both & (one_fps > 0.0) & (other_fps > 0.0) & np.isfinite(one_fps + other_fps)
    corners = np.zeros((*one_fps.shape, use.shape[1]))
    pair = np.arange(one.size)
    corners[:, pair, one] = np.where(real, one_fps, 0.0)
    corners[:, pair, other] = np.where(real, other_fps, 0.0)
    return corners
