"""The clairvoyant optimum of every slot: what all others are compared with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.exact import solve_constrained
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.realisation import compose
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_rows import RowConditions, SlotRows
from visionscaling_ros.datatypes import SlotDecision, SlotState
from visionscaling_ros.simulation.conditions import Conditions, Series
from visionscaling_ros.simulation.profile import DeviceProfile

_SLOTS_AT_ONCE = 200
_HALVINGS = 40
_SLACK = 1e-9


@dataclass(frozen=True)
class OraclePlan:
    """The best decision of each of T slots over K configurations.

    :param cost: shape (T,); a lower bound on what any policy that meets the target in the slot
        can reach.
    :param level: index of the clock level, shape (T,).
    :param local_fps: shape (T, K) [frames/s].
    :param edge_fps: shape (T, K) [frames/s].
    """

    cost: Series
    level: np.ndarray
    local_fps: Series
    edge_fps: Series


def oracle_plan(
    conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
) -> OraclePlan:
    """Least cost of every slot with its accuracy constraint met, knowing all of the slot.

    With the true times and powers, without radio tail and thermal throttling, which depend on the
    slots before.
    """
    table = true_table(conditions, profile, settings)
    slots, count = len(conditions), len(table.points)
    plan = OraclePlan(
        np.zeros(slots),
        np.zeros(slots, dtype=np.intp),
        np.zeros((slots, count)),
        np.zeros((slots, count)),
    )
    alike: dict[bytes, list[int]] = {}
    for slot in range(slots):
        alike.setdefault(_admitted(table, conditions, settings, slot).tobytes(), []).append(slot)
    rows = SlotRows()
    for group in alike.values():
        for begin in range(0, len(group), _SLOTS_AT_ONCE):
            chosen = np.array(group[begin : begin + _SLOTS_AT_ONCE])
            _solve(rows, table, conditions, settings, slots=chosen, plan=plan)
    return plan


def oracle_cost(
    conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
) -> Series:
    """Cost of :func:`oracle_plan`, shape (T,)."""
    return oracle_plan(conditions, profile, settings).cost


def true_table(
    conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
) -> PointTable:
    """The profile's table with the true times, but for the slot's factor, and true powers.

    Of the models that ``settings`` allow; of all if the profile has none of them, as policies do.
    """
    biased = tuple(
        dataclasses.replace(
            point, gpu_work_ghz_s=point.gpu_work_ghz_s * bias, serial_s=point.serial_s * bias
        )
        for point, bias in zip(
            profile.points, conditions.point_latency_bias.tolist(), strict=True
        )
    )
    points = tuple(p for p in biased if p.model in settings.allowed_models) or biased
    table = PointTable.build(points, profile.device)
    return dataclasses.replace(table, busy_w=table.busy_w * conditions.power_bias)


def _admitted(
    table: PointTable, conditions: Conditions, settings: ControlSettings, slot: int
) -> np.ndarray:
    local_s = table.local_s * conditions.latency_factor[slot]
    return admitted_locally(local_s, float(conditions.arrival_fps[slot]), settings)


def _solve(
    rows: SlotRows,
    table: PointTable,
    conditions: Conditions,
    settings: ControlSettings,
    *,
    slots: np.ndarray,
    plan: OraclePlan,
) -> None:
    admitted = _admitted(table, conditions, settings, int(slots[0]))
    limits = _row_conditions(table, conditions, settings, slots)
    problem = rows.build(table, limits, settings, admitted=admitted)
    with_server = not _server_suffices(table, conditions, slots)
    if with_server:
        problem = rows.build(table, limits, settings, admitted=admitted, with_server=True)
    point, _ = solve_constrained(problem, _HALVINGS)
    per_slot = point.cost.reshape(len(slots), -1)
    best = per_slot.argmin(axis=1) + np.arange(len(slots)) * per_slot.shape[1]
    plan.cost[slots] = point.cost[best]
    plan.level[slots] = limits.level[best]
    for rates, resource, target in (
        (point.local_fps, problem.local, plan.local_fps),
        (point.edge_fps, problem.edge, plan.edge_fps),
    ):
        spread = np.zeros((len(slots), target.shape[1]))
        np.add.at(spread, (np.arange(len(slots))[:, None], resource.index[best]), rates[best])
        target[slots] = spread


def _row_conditions(
    table: PointTable, conditions: Conditions, settings: ControlSettings, slots: np.ndarray
) -> RowConditions:
    """Rows of each slot: every level without the radio, then with it."""
    levels = len(table.busy_w)
    each = np.repeat(slots, 2 * levels)
    radio = np.tile(np.repeat([0.0, 1.0], levels), len(slots))
    allowed = 1.0 if settings.allow_edge else 0.0
    return RowConditions(
        level=np.tile(np.arange(levels), 2 * len(slots)),
        arrival_fps=conditions.arrival_fps[each],
        capacity_bps=allowed * radio * conditions.capacity_bps[each],
        server_share=conditions.server_share[each],
        time_factor=conditions.latency_factor[each],
    )


def _server_suffices(table: PointTable, conditions: Conditions, slots: np.ndarray) -> bool:
    """True where the server cannot run short, whatever is offloaded."""
    most_s = conditions.arrival_fps[slots] * float(table.server_s.max())
    return bool(np.all(most_s <= conditions.server_share[slots] + _SLACK))


class OraclePolicy:
    """Plays the clairvoyant plan; for simulations only."""

    name = 'oracle'

    def __init__(
        self, conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
    ) -> None:
        self.settings = settings
        self._conditions = conditions
        self._table = true_table(conditions, profile, settings)
        self.plan = oracle_plan(conditions, profile, settings)

    def decide(self, forecast: Forecast) -> SlotDecision:
        """The slot's plan."""
        slot = forecast.slot
        decision = compose(
            self._table,
            self.plan.local_fps[slot],
            self.plan.edge_fps[slot],
            int(self.plan.level[slot]),
            slot=slot,
            arrival_fps=float(self._conditions.arrival_fps[slot]),
            settings=self.settings,
        )
        return dataclasses.replace(decision, policy=self.name)

    def observe(self, state: SlotState) -> None:
        """Nothing is left to learn."""
