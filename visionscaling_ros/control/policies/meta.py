"""The default: saddle-point learners and exact solves on forecasts, combined by Hedge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.evaluation import accuracy_constraint
from visionscaling_ros.control.exact_planner import ExactPlanner
from visionscaling_ros.control.fluid import Fluid
from visionscaling_ros.control.forecast import CAPACITY_QUANTILES, Forecast
from visionscaling_ros.control.hedge import Hedge
from visionscaling_ros.control.insurance import ClockInsurance
from visionscaling_ros.control.point_table import PointTable, PointTableCache
from visionscaling_ros.control.probe import Probe
from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.realisation import compose, rounded
from visionscaling_ros.control.revealed import Revealed
from visionscaling_ros.control.saddle_learners import STEP_FACTORS, SaddlePointLearners
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_plan import SlotPlans
from visionscaling_ros.control.units import gradient_unit
from visionscaling_ros.datatypes import SlotDecision, SlotState

_MIDDLE = len(CAPACITY_QUANTILES) // 2
_PLANNED = (2, 4)  # of the quantiles: those that are planned with
_FAR_WORSE = 0.1  # an expert expected to cost so much more than an exact solve is not followed
_EXPERTS = len(_PLANNED) + len(STEP_FACTORS)


@dataclass(frozen=True)
class _Slot:
    """What was known and planned for the slot under way.

    :param plans: what every expert would do, and the exact planner with the radio the other way.
    :param played: what is done, one plan.
    """

    forecast: Forecast
    table: PointTable
    expected: Revealed
    plans: SlotPlans
    played: SlotPlans


class MetaPolicy:
    """Several online learners at once, the better ones followed.

    Two kinds of experts, because each fails where the other is good:

    * exact solves of the slot forecast (:class:`ExactPlanner`), one per quantile of the uplink
      capacity: near the optimum while forecasts are good, however fast the world moves;
    * saddle-point learners with several step sizes (:class:`SaddlePointLearners`): gradients of
      the slots that were, which need no good forecast while the world moves slowly.

    All share the virtual queue of the accuracy constraint, moved by what really ran:
    ``lambda <- [lambda + mu g_t]^+``. After every slot each expert's plan is put to what the slot
    turned out to be, and Hedge weighs them by these counterfactual losses ``phi_t + lambda g_t``,
    with the radio's tail each would have left. Nothing needs to know how long the run will be.

    What was run last is kept while a new plan is expected to save less than ``switching_cost``.
    Ours; its parts are Ader's (Zhang, Lu, Zhou 2018), drift plus penalty (Yu, Neely, Wei 2017,
    arXiv 1708.03741) and MOSP (Chen, Ling, Giannakis 2017, arXiv 1701.03974).
    """

    name = 'visionscaling_meta'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._tables = PointTableCache(only_efficient=True)
        self._planner = ExactPlanner()
        self._probe = Probe()
        self._learners = SaddlePointLearners()
        self._insurance = ClockInsurance()
        self._hedge = Hedge(_EXPERTS, settings.seed)
        self._silent_s = np.full(_EXPERTS + 1, math.inf)  # since each would have sent
        self._slot: _Slot | None = None

    def decide(self, forecast: Forecast) -> SlotDecision:
        """Plan with every expert, and do what the one that is followed says."""
        settings = self.settings
        table = self._tables.get(forecast.operating_points, forecast.device)
        last, self._slot = self._slot, None
        if not (table.points and 0.0 < forecast.arrival_fps < math.inf):
            nothing = np.zeros(len(table.points))
            return self._decision(forecast, table, SlotPlans.of_one(0, nothing, nothing))
        capacities_bps, share = self._edge(forecast, table)
        expected = Revealed(forecast.arrival_fps, capacities_bps[_MIDDLE], share)
        planned_bps = tuple(capacities_bps[i] for i in _PLANNED)
        exact, other = self._planner.plans(table, forecast, planned_bps, share, settings)
        part = table.on_frontier
        problem = SlotProblem.build(forecast, settings, self._planner.radio_on, part)
        learned = self._learners.plans(
            problem, settings, self._planner.multiplier, gradient_unit(table, settings)
        )
        plans = exact.and_(learned.of_table(part, len(table.points))).and_(other)
        kept = None if last is None else self._kept(last, table, expected)
        plans, value = self._insurance.insured(
            plans if kept is None else plans.and_(kept),
            table,
            expected=expected,
            capacities_bps=capacities_bps[::2],
            price=self._planner.multiplier,
            settings=settings,
        )
        chosen = self._chosen(value.tolist(), can_keep=kept is not None)
        played = plans.some(slice(chosen, chosen + 1))
        if self._probe.due(forecast, self._planner.radio_on):
            played = _explored(played, table, forecast)
        plans = plans.some(slice(0, _EXPERTS + 1))
        self._slot = _Slot(forecast, table, expected, plans, played)
        return self._decision(forecast, table, played)

    def observe(self, state: SlotState) -> None:
        """Move the queue by what ran, and weigh the experts by what they would have cost."""
        slot = self._slot
        if slot is None or not 0.0 < state.arrival_fps < math.inf:
            return
        table, settings = slot.table, self.settings
        revealed = Revealed.of(state, slot.expected)
        explored = slot.forecast.exploration_fps > 0.0
        self._insurance.observe(revealed, slot.expected, explored=explored)
        fluid = Fluid(slot.plans, table, slot.forecast.arrival_fps, settings)
        outcome = fluid.at_own_level(
            revealed.arrival_fps,
            revealed.capacity_bps,
            revealed.server_share,
            radio_on=self._silent_s < table.device.radio_tail_s,
        )
        self._silent_s = np.where(outcome.sends, 0.0, self._silent_s + slot.forecast.slot_s)
        losses = outcome.cost + self._planner.multiplier * outcome.constraint
        self._hedge.learn(losses[:_EXPERTS])
        target_map = table.reachable_target_map(settings)
        measured, _ = accuracy_constraint(
            state.processed, slot.forecast.operating_points, target_map
        )
        limit_fps = max(settings.full_rate_fps, state.arrival_fps)
        measured = min(max(measured, -limit_fps), limit_fps)
        constraint = outcome.constraint.tolist()
        self._planner.move_queues(
            table,
            settings,
            measured=measured,
            planned=constraint[0],
            other=constraint[-1],
        )

    def _edge(self, forecast: Forecast, table: PointTable) -> tuple[tuple[float, ...], float]:
        """Capacities to plan with, from cautious to hopeful [bit/s], and the server's share."""
        share = forecast.server_share
        share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0
        count = len(CAPACITY_QUANTILES)
        if not (forecast.edge_reachable and self.settings.allow_edge):
            return (0.0,) * count, share
        known = forecast.capacity_quantiles_bps
        if len(known) == count and all(math.isfinite(bps) and bps >= 0.0 for bps in known):
            return known, share
        capacity_bps = forecast.capacity_bps
        if not (math.isfinite(capacity_bps) and capacity_bps >= 0.0):  # one frame a second tells
            capacity_bps = float(np.max(table.upload_bits, initial=0.0))
        return (capacity_bps,) * count, share

    def _kept(self, last: _Slot, table: PointTable, expected: Revealed) -> SlotPlans | None:
        """What ran last, scaled to the arrivals; None where it cannot go on."""
        before = last.played
        gone = expected.capacity_bps <= 0.0 and bool(np.any(before.edge_fps > 0.0))
        same = last.table.points is table.points and before.level[0] < len(table.busy_w)
        if gone or not same:
            return None
        scale = expected.arrival_fps / last.forecast.arrival_fps
        busy = scale * float(before.local_fps[0] @ table.local_s[before.level[0]])
        if busy > self.settings.utilization_ceiling:
            return None
        return SlotPlans(before.level, scale * before.local_fps, scale * before.edge_fps)

    def _chosen(self, value: list[float], *, can_keep: bool) -> int:
        """Index of the plan to play: the expert's that is followed, or what ran last.

        :param value: expected cost of all plans, what ran last at the end if it can go on.
        """
        exact = value[: len(_PLANNED)]
        followed = self._hedge.played
        if not value[followed] <= min(exact) + _FAR_WORSE:
            followed = exact.index(min(exact))
        if can_keep and value[-1] <= value[followed] + self.settings.switching_cost:
            return len(value) - 1
        return followed

    def _decision(self, forecast: Forecast, table: PointTable, played: SlotPlans) -> SlotDecision:
        return compose(
            table,
            rounded(played.local_fps[0], self.settings),
            rounded(played.edge_fps[0], self.settings),
            int(played.level[0]),
            slot=forecast.slot,
            arrival_fps=forecast.arrival_fps,
            settings=self.settings,
            policy=self.name,
            multiplier=self._planner.multiplier,
        )


def _explored(played: SlotPlans, table: PointTable, forecast: Forecast) -> SlotPlans:
    """At least the exploratory frames to the edge, from the configuration most in use locally."""
    local_fps, edge_fps = played.local_fps[0], played.edge_fps[0]
    missing_fps = forecast.exploration_fps - float(edge_fps.sum())
    if not (missing_fps > 0.0 and forecast.edge_reachable):
        return played
    most = int(np.where(table.upload_bits > 0.0, local_fps, 0.0).argmax())
    moved_fps = min(missing_fps, float(local_fps[most]))
    if table.upload_bits[most] <= 0.0 or moved_fps <= 0.0:
        return played
    change = np.zeros_like(local_fps)
    change[most] = moved_fps
    return SlotPlans.of_one(int(played.level[0]), local_fps - change, edge_fps + change)
