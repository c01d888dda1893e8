"""The best clock level and rates for a slot: the rows of a problem solved, the best one chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.exact import queued_cost, solve, solve_queued
from visionscaling_ros.control.frontier import Flags, Indices
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_rows import RowConditions, SlotRows

_SLACK = 1e-9
_MOST_ROWS = 5  # looked at with the server's time, of those the uplink alone speaks for


@dataclass(frozen=True)
class SlotPlans:
    """What to run in a slot, in N opinions.

    :param level: index of the clock level, shape (N,).
    :param local_fps: shape (N, K) [frames/s].
    :param edge_fps: shape (N, K) [frames/s].
    """

    level: Indices
    local_fps: Vector
    edge_fps: Vector

    @classmethod
    def of_one(cls, level: int, local_fps: Vector, edge_fps: Vector) -> SlotPlans:
        """A single plan, from rates of shape (K,)."""
        return cls(np.array([level]), local_fps[None], edge_fps[None])

    def of_table(self, part: PointTable, count: int) -> SlotPlans:
        """The same plans over the ``count`` configurations of the table ``part`` is from."""
        local_fps = np.zeros((len(self.level), count))
        edge_fps = np.zeros((len(self.level), count))
        local_fps[:, part.kept] = self.local_fps
        edge_fps[:, part.kept] = self.edge_fps
        return SlotPlans(self.level, local_fps, edge_fps)

    def some(self, chosen: slice | Indices) -> SlotPlans:
        """Some of the plans, repeats allowed."""
        return SlotPlans(self.level[chosen], self.local_fps[chosen], self.edge_fps[chosen])

    def and_(self, others: SlotPlans) -> SlotPlans:
        """These plans and others."""
        return SlotPlans(
            np.concatenate([self.level, others.level]),
            np.concatenate([self.local_fps, others.local_fps]),
            np.concatenate([self.edge_fps, others.edge_fps]),
        )


def exact_plans(
    rows: SlotRows,
    table: PointTable,
    *,
    arrival_fps: float,
    capacities_bps: tuple[float, ...],
    server_share: float,
    settings: ControlSettings,
    multipliers: tuple[float, float],
    step: float,
    admitted: Flags | None = None,
) -> tuple[SlotPlans, Vector]:
    """The plans of least cost and drift: with the radio off, then on with each of N capacities.

    Most clock levels are ruled out by what they cost at the least: ``phi + lambda g`` of the
    Lagrangian's optimum, which bounds every point of the row from below.

    :param multipliers: lambda with the radio off and on, below 0 a credit [cost per mAP frame/s].
    :param step: mu, what a constraint of 1 adds to it, above 0.
    :param admitted: configurations that may run locally at each level, shape (J, K); None: those
        that do not block the worker.
    :returns: N + 1 plans and what they cost (:func:`queued_cost`), shape (N + 1,).
    """
    levels = len(table.busy_w)
    conditions = RowConditions.of_slot(levels, arrival_fps, capacities_bps, server_share)
    if admitted is None:
        admitted = admitted_locally(table.local_s, arrival_fps, settings)
    problem = rows.build(table, conditions, settings, admitted=admitted)
    multiplier = np.repeat(multipliers, (levels, len(capacities_bps) * levels))
    price = np.maximum(multiplier, 0.0)
    first = solve(problem, price)
    least = first.cost + price * first.constraint
    groups = np.arange(len(conditions.level)).reshape(-1, levels)
    best = queued_cost(first, multiplier, step)[groups].min(axis=1)
    hopeful = np.flatnonzero(least[groups] <= best[:, None] + _SLACK)
    if not hopeful.size:  # figures beyond what numbers can hold
        hopeful = np.arange(len(least))
    few = problem.rows(hopeful)
    point = solve_queued(few, first.rows(hopeful), multiplier[hopeful], step)
    used_s = (point.edge_fps * table.server_s[few.edge.index]).sum(axis=1)
    if not np.all(used_s <= server_share + _SLACK):
        order = np.argsort(least[groups], axis=1)[:, :_MOST_ROWS]
        hopeful = np.sort(np.take_along_axis(groups, order, 1), axis=None)
        few = rows.build(
            table, conditions.rows(hopeful), settings, admitted=admitted, with_server=True
        )
        point = solve_queued(few, solve(few, price[hopeful]), multiplier[hopeful], step)
    value = np.full(len(conditions.level), np.inf)
    value[hopeful] = queued_cost(point, multiplier[hopeful], step)
    chosen = groups[np.arange(len(groups)), value[groups].argmin(axis=1)]
    position = np.searchsorted(hopeful, chosen)
    plans = SlotPlans(
        level=conditions.level[chosen],
        local_fps=_spread(few.local.index[position], point.local_fps[position], table),
        edge_fps=_spread(few.edge.index[position], point.edge_fps[position], table),
    )
    return plans, value[chosen]


def _spread(index: Indices, rates_fps: Vector, table: PointTable) -> Vector:
    """Rates of columns as rates of configurations, shape (N, K)."""
    spread = np.zeros((len(index), len(table.points)))
    for row, columns in enumerate(index):
        np.add.at(spread[row], columns, rates_fps[row])
    return spread
