"""The best clock level and rates for a slot: the rows of a problem solved, the best one chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.exact import queued_cost, solve, solve_queued
from visionscaling_ros.control.frontier import Indices
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_rows import RowConditions, SlotRows

_SLACK = 1e-9
_MOST_ROWS = 8  # looked at with the server's time, of those the uplink alone speaks for


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


@dataclass(frozen=True)
class Queue:
    """The virtual queue of the accuracy constraint.

    :param multiplier: lambda [cost per mAP frame/s].
    :param step: mu, what a constraint of 1 adds to it, above 0.
    """

    multiplier: float
    step: float


def exact_plans(
    rows: SlotRows,
    table: PointTable,
    *,
    arrival_fps: float,
    capacities_bps: tuple[float, ...],
    server_share: float,
    settings: ControlSettings,
    queue: Queue,
) -> SlotPlans:
    """The plan of least cost and drift (:func:`solve_queued`) for each of N capacities.

    Most clock levels are ruled out by what they cost at the least: ``phi + lambda g`` of the
    Lagrangian's optimum, which bounds every point of the row from below.
    """
    levels = len(table.busy_w)
    conditions = RowConditions.of_slot(levels, arrival_fps, capacities_bps, server_share)
    admitted = admitted_locally(table.local_s, arrival_fps, settings)
    problem = rows.build(table, conditions, settings, admitted=admitted)
    first = solve(problem, np.full(len(conditions.level), queue.multiplier))
    least = first.cost + queue.multiplier * first.constraint
    least += 0.5 * queue.multiplier**2 / queue.step
    reached = queued_cost(first, queue.multiplier, queue.step)
    groups = _groups(levels, len(capacities_bps))
    best = reached[groups].min(axis=1)
    hopeful = np.unique(groups[least[groups] <= best[:, None] + _SLACK])
    used_s = (first.edge_fps * table.server_s[problem.edge.index]).sum(axis=1)
    if np.all(used_s[hopeful] <= server_share + _SLACK):
        few, at_queue = problem.rows(hopeful), first.rows(hopeful)
    else:
        order = np.argsort(least[groups], axis=1)[:, :_MOST_ROWS]
        hopeful = np.unique(np.take_along_axis(groups, order, 1))
        few = rows.build(
            table, conditions.rows(hopeful), settings, admitted=admitted, with_server=True
        )
        at_queue = solve(few, np.full(len(hopeful), queue.multiplier))
    point = solve_queued(few, at_queue, queue.multiplier, queue.step)
    value = np.full(len(conditions.level), np.inf)
    value[hopeful] = queued_cost(point, queue.multiplier, queue.step)
    chosen = groups[np.arange(len(groups)), value[groups].argmin(axis=1)]
    position = np.searchsorted(hopeful, chosen)
    return SlotPlans(
        level=conditions.level[chosen],
        local_fps=_spread(few.local.index[position], point.local_fps[position], table),
        edge_fps=_spread(few.edge.index[position], point.edge_fps[position], table),
    )


def _groups(levels: int, opinions: int) -> Indices:
    """Rows of each opinion, with and without radio, shape (N, 2 J)."""
    without = np.tile(np.arange(levels), (opinions, 1))
    with_radio = levels + np.arange(opinions * levels).reshape(opinions, levels)
    return np.concatenate([without, with_radio], axis=1)


def _spread(index: Indices, rates_fps: Vector, table: PointTable) -> Vector:
    """Rates of columns as rates of configurations, shape (N, K)."""
    spread = np.zeros((len(index), len(table.points)))
    for row, columns in enumerate(index):
        np.add.at(spread[row], columns, rates_fps[row])
    return spread
