"""A clock that leaves time for the frames an uplink may give back."""

from __future__ import annotations

from collections import deque

import numpy as np

from visionscaling_ros.control.fluid import Fluid
from visionscaling_ros.control.frontier import Indices
from visionscaling_ros.control.projections import Vector

ARRIVAL_QUANTILES = (0.05, 0.3, 0.7, 0.93, 0.99)
_ARRIVAL_CHANCES = np.array([0.1, 0.4, 0.37, 0.1, 0.03])  # what each of them stands for
_RATIOS = 100  # of arrivals to expected ones that are remembered
_COLLAPSED = 0.25  # of the median expected: an uplink that carries less has collapsed
_AT_FIRST = 0.05  # chance of a collapse in a slot, before any slot was seen
_WORTH_SLOTS = 20.0  # of experience that first guess counts for
_MEMORY_SLOTS = 500.0


class ArrivalRatios:
    """How far arrivals lie from what was expected."""

    def __init__(self) -> None:
        self._ratios = deque([1.0], maxlen=_RATIOS)
        self._quantiles = np.ones(len(ARRIVAL_QUANTILES))

    @property
    def quantiles(self) -> Vector:
        """Ratios at ``ARRIVAL_QUANTILES``, shape (5,)."""
        return self._quantiles

    def observe(self, arrival_fps: float, expected_fps: float) -> None:
        """Take in what arrived in a slot, and what was expected to [frames/s]."""
        self._ratios.append(arrival_fps / expected_fps)
        ordered = sorted(self._ratios)
        last = len(ordered) - 1
        self._quantiles = np.array([ordered[round(q * last)] for q in ARRIVAL_QUANTILES])


class CollapseRate:
    """How often an uplink that was fine carries next to nothing in the next slot."""

    def __init__(self) -> None:
        self._slots = _WORTH_SLOTS
        self._collapses = _AT_FIRST * _WORTH_SLOTS

    @property
    def chance(self) -> float:
        """Of a collapse in a slot, 0 to 1."""
        return self._collapses / self._slots

    def observe(self, capacity_bps: float, expected_bps: float) -> None:
        """Take in what the uplink carried in a slot, and what it was expected to [bit/s]."""
        if not expected_bps > 0.0:
            return
        kept = 1.0 - 1.0 / _MEMORY_SLOTS
        self._slots = kept * self._slots + 1.0
        self._collapses = kept * self._collapses + (capacity_bps < _COLLAPSED * expected_bps)


def insured_levels(
    fluid: Fluid,
    *,
    arrivals_fps: Vector,
    capacities_bps: Vector,
    collapse: float,
    server_share: float,
    price: float,
) -> Indices:
    """Level of least ``phi + lambda g`` on average over what may come, shape (N,).


    A higher clock costs more for every frame that runs here, but a GPU that waits costs no more at
    a high clock than at a low one: where much is offloaded, a high clock is a cheap insurance.
    Never below the plan's own level.

    :param arrivals_fps: arrivals at the quantiles ``ARRIVAL_QUANTILES``, shape (5,) [frames/s].
    :param capacities_bps: what the uplink may carry, all equally likely, shape (S,) [bit/s].
    :param collapse: chance that it carries nothing, 0 to 1.
    :param price: lambda [cost per mAP frame/s].
    """
    scenarios_bps = np.append(capacities_bps, 0.0)
    chance = np.full(len(scenarios_bps), (1.0 - collapse) / len(capacities_bps))
    chance[-1] = collapse
    outcome = fluid.at_every_level(
        np.repeat(arrivals_fps, len(chance)),
        np.tile(scenarios_bps, len(arrivals_fps)),
        server_share,
    )
    chance = np.outer(_ARRIVAL_CHANCES, chance).ravel()
    value = np.tensordot(chance, outcome.cost + price * outcome.constraint, 1)
    below = np.arange(len(value))[:, None] < fluid.level
    level: Indices = np.where(below, np.inf, value).argmin(axis=0)
    return level
