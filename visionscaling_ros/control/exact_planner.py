"""Exact solves of forecasts with a virtual queue, and a radio that is not switched in vain."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.control.exact import solve
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.radio_switch import RadioSwitch
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_plan import SlotPlans, exact_plans
from visionscaling_ros.control.slot_rows import RowConditions, SlotRows
from visionscaling_ros.control.units import gradient_unit, largest_gap_map

_QUEUE_STEP = 1.0  # in units in which the dearest frame, the largest gap and the full rate are 1
_CREDIT_SLOTS = 5.0  # at the full rate and the largest gap: as much credit is kept at most
_FIRST_HALVINGS = 20
_LEAST_SLOT_S = 1e-3
_OFF, _ON = 0, 1


class ExactPlanner:
    """Plans the slot forecast exactly, for several opinions on the uplink.

    The problem is convex but for the radio, which costs a fixed power while on and a tail when it
    goes off. Accuracy has another price with it than without: each way of living has a base price
    of its own, moved by what its plan would have given in every slot, lived or not. On top of both
    comes the virtual queue of what really ran, ``Q <- [Q + mu g_t]``, which holds the target
    whichever way is lived. What both ways would cost at their prices decides, by
    :class:`RadioSwitch`, which is lived. While the uplink is unknown, what it last carried is built
    on, cautiously.

    The base prices start at the multipliers of the first forecast's optimum, so that the target
    holds from the start.
    """

    def __init__(self) -> None:
        self._rows = SlotRows()
        self._radio = RadioSwitch()
        self._bases: list[float] = []  # base prices: radio off, radio on
        self._queue = 0.0
        self._lived = _OFF
        self._can_send = False
        self._known_bps: tuple[float, ...] = ()  # the last capacities that were no exploration

    @property
    def radio_on(self) -> bool:
        """Frames are to be offloaded."""
        return self._lived == _ON

    @property
    def multiplier(self) -> float:
        """Price of accuracy, not negative [cost per mAP frame/s]."""
        return max(self.queue, 0.0)

    @property
    def queue(self) -> float:
        """The virtual queue lived by; below 0: credit [cost per mAP frame/s]."""
        return self._bases[self._lived] + self._queue if self._bases else 0.0

    def plans(
        self,
        table: PointTable,
        forecast: Forecast,
        capacities_bps: tuple[float, ...],
        share: float,
        settings: ControlSettings,
    ) -> tuple[SlotPlans, SlotPlans]:
        """A plan for each of N capacities, and one that has the radio the other way.

        :param capacities_bps: what the uplink may carry, ascending [bit/s].
        :param share: share of the server, 0 to 1.
        """
        middle = (len(capacities_bps) - 1) // 2
        if not self._bases:
            self._bases = self._first_multipliers(
                table, forecast, capacities_bps[middle], share, settings
            )
        unknown = forecast.exploration_fps > 0.0 and capacities_bps[middle] > 0.0
        if not unknown and capacities_bps[middle] > 0.0:
            self._known_bps = capacities_bps
        likely_bps = self._known_bps if unknown and self._known_bps else capacities_bps
        plans, value = self._solve(table, forecast, likely_bps, share, settings)
        can_send = capacities_bps[middle] > 0.0 and share > 0.0
        self._can_send = can_send
        if can_send and likely_bps[middle] > 0.0:
            device = table.device
            tail_j = device.radio_fixed_w * device.radio_tail_s
            tail_cost = settings.weight_energy / device.p_max_w * tail_j
            tail_cost /= max(forecast.slot_s, _LEAST_SLOT_S)
            self._radio.update(float(value[1 + middle]), float(value[0]), 0.5 * tail_cost)
        self._lived = _ON if can_send and self._radio.on else _OFF
        if self._lived == _OFF:
            without = np.zeros(len(capacities_bps), dtype=np.intp)
            return plans.some(without), plans.some(slice(1 + middle, 2 + middle))
        if likely_bps is capacities_bps:
            return plans.some(slice(1, None)), plans.some(slice(0, 1))
        cautious = np.ones(len(capacities_bps), dtype=np.intp)
        return plans.some(cautious), plans.some(slice(0, 1))

    def _solve(
        self,
        table: PointTable,
        forecast: Forecast,
        capacities_bps: tuple[float, ...],
        share: float,
        settings: ControlSettings,
    ) -> tuple[SlotPlans, Vector]:
        off, on = (base + self._queue for base in self._bases)
        return exact_plans(
            self._rows,
            table,
            arrival_fps=forecast.arrival_fps,
            capacities_bps=capacities_bps,
            server_share=share,
            settings=settings,
            multipliers=(off, on),
            step=self.step(table, settings),
        )

    def move_queues(
        self,
        table: PointTable,
        settings: ControlSettings,
        *,
        measured: float,
        planned: float,
        other: float,
    ) -> None:
        """Take in the constraint as it was, and as the plans of both ways would have had it.

        :param measured: of what really ran [mAP frames/s].
        :param planned: of the exact plan of the way that is lived [mAP frames/s].
        :param other: of the other way [mAP frames/s].
        """
        spread, limit = largest_gap_map(table, settings), self._limit(table, settings)
        step = 0.5 * self.step(table, settings)
        credit = _CREDIT_SLOTS * step * settings.full_rate_fps * spread
        queue = self._queue + step * measured
        if math.isfinite(queue):
            self._queue = min(max(queue, -credit), limit)
        for way, constraint in ((self._lived, planned), (1 - self._lived, other)):
            if way == _ON and not self._can_send:
                continue
            moved = self._bases[way] + step * constraint
            if math.isfinite(moved):
                self._bases[way] = min(max(moved, 0.0), limit)

    def step(self, table: PointTable, settings: ControlSettings) -> float:
        """mu: what a constraint of 1 adds to the multiplier."""
        spread = largest_gap_map(table, settings)
        unit = gradient_unit(table, settings)
        return _QUEUE_STEP * unit / (spread * spread * settings.full_rate_fps)

    @staticmethod
    def _limit(table: PointTable, settings: ControlSettings) -> float:
        """The highest multiplier."""
        unit, spread = gradient_unit(table, settings), largest_gap_map(table, settings)
        return settings.max_multiplier * unit / spread

    def _first_multipliers(
        self,
        table: PointTable,
        forecast: Forecast,
        capacity_bps: float,
        share: float,
        settings: ControlSettings,
    ) -> list[float]:
        """The prices at which the slot forecast meets the target, without radio and with it.

        At such a price the level that costs least gives the target, or levels on either side do.
        """
        levels = len(table.busy_w)
        conditions = RowConditions.of_slot(levels, forecast.arrival_fps, (capacity_bps,), share)
        admitted = admitted_locally(table.local_s, forecast.arrival_fps, settings)
        problem = self._rows.build(table, conditions, settings, admitted=admitted)
        way = np.arange(2)
        low = np.zeros(2)
        high = np.full(2, self._limit(table, settings))
        for _ in range(_FIRST_HALVINGS):
            price = 0.5 * (low + high)
            point = solve(problem, np.repeat(price, levels))
            lagrangian = (point.cost + np.repeat(price, levels) * point.constraint).reshape(2, -1)
            constraint = point.constraint.reshape(2, -1)[way, lagrangian.argmin(axis=1)]
            low = np.where(constraint > 0.0, price, low)
            high = np.where(constraint > 0.0, high, price)
        first: list[float] = high.tolist()
        return first
