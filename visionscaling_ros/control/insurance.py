"""A clock that leaves time for the frames an uplink may give back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from visionscaling_ros.control.fluid import Fluid
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.revealed import Revealed
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_plan import SlotPlans

ARRIVAL_QUANTILES = (0.15, 0.6, 0.93, 0.99)
_ARRIVAL_CHANCES = np.array([0.35, 0.5, 0.12, 0.03])  # what each of them stands for
_RATIOS = 100  # of arrivals to expected ones that are remembered
_COLLAPSED = 0.25  # of the median expected: an uplink that carries less has collapsed
_AT_FIRST = 0.05  # chance of a collapse in a slot, before any slot was seen
_WORTH_SLOTS = 20.0  # of experience that first guess counts for
_MEMORY_SLOTS = 500.0


class ArrivalRatios:
    """How far arrivals lie from what was expected, while few are expected and while many are."""

    def __init__(self) -> None:
        self._ratios = [deque([1.0], maxlen=_RATIOS) for _ in range(2)]
        self._quantiles = [np.ones(len(ARRIVAL_QUANTILES)) for _ in range(2)]
        self._mean_fps = 0.0
        self._slots = 0.0

    def quantiles(self, expected_fps: float) -> Vector:
        """Ratios at ``ARRIVAL_QUANTILES`` while so much is expected, shape (4,)."""
        return self._quantiles[expected_fps >= self._mean_fps]

    def observe(self, arrival_fps: float, expected_fps: float) -> None:
        """Take in what arrived in a slot, and what was expected to [frames/s]."""
        many = expected_fps >= self._mean_fps
        ratios = self._ratios[many]
        ratios.append(arrival_fps / expected_fps)
        ordered = sorted(ratios)
        last = len(ordered) - 1
        self._quantiles[many] = np.array([ordered[round(q * last)] for q in ARRIVAL_QUANTILES])
        self._slots = min(self._slots + 1.0, _MEMORY_SLOTS)
        self._mean_fps += (arrival_fps - self._mean_fps) / self._slots


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


class ClockInsurance:
    """Raises the clock for what may come otherwise than expected.

    A higher clock costs more for every frame that runs here, but a GPU that waits costs no more at
    a high clock than at a low one: where much is offloaded, a high clock is a cheap insurance
    against frames that come back, and against more frames than expected.
    """

    def __init__(self) -> None:
        self._arrivals = ArrivalRatios()
        self._collapses = CollapseRate()

    def observe(self, revealed: Revealed, expected: Revealed, *, explored: bool) -> None:
        """Take in what a slot turned out to be, beside what was expected of it.

        :param explored: nothing was expected of the uplink: its capacity was unknown.
        """
        self._arrivals.observe(revealed.arrival_fps, expected.arrival_fps)
        if not explored:
            self._collapses.observe(revealed.capacity_bps, expected.capacity_bps)

    def insured(
        self,
        plans: SlotPlans,
        table: PointTable,
        *,
        expected: Revealed,
        capacities_bps: Sequence[float],
        price: float,
        settings: ControlSettings,
    ) -> tuple[SlotPlans, Vector]:
        """The plans at the level of least ``phi + lambda g`` on average over what may come.

        Never below their own level. Also what they cost at that level, shape (N,).

        :param capacities_bps: what the uplink may carry, all equally likely [bit/s].
        :param price: lambda [cost per mAP frame/s].
        """
        fluid = Fluid(plans, table, expected.arrival_fps, settings)
        count = len(capacities_bps)
        collapse = self._collapses.chance
        chance = np.full(count + 1, (1.0 - collapse) / count)
        chance[-1] = collapse
        arrivals_fps = expected.arrival_fps * self._arrivals.quantiles(expected.arrival_fps)
        outcome = fluid.at_every_level(
            np.repeat(arrivals_fps, count + 1),
            np.tile([*capacities_bps, 0.0], len(ARRIVAL_QUANTILES)),
            expected.server_share,
        )
        value = outcome.cost + price * outcome.constraint
        mean = np.tensordot(np.outer(_ARRIVAL_CHANCES, chance).ravel(), value, 1)
        below = np.arange(len(mean))[:, None] < plans.level
        mean = np.where(below, np.inf, mean)
        level = mean.argmin(axis=0)
        return SlotPlans(level, plans.local_fps, plans.edge_fps), mean.min(axis=0)
