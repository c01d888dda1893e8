"""The best decision that is not the one taken: without what leads it, where it leads."""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left

import numpy as np

from visionscaling_ros.control.exact_planner import ExactPlanner
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.frontier import Flags
from visionscaling_ros.control.limits import capacity_counted_on
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.realisation import compose, rounded
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_plan import exact_plans
from visionscaling_ros.control.slot_rows import SlotRows
from visionscaling_ros.datatypes import Origin, SlotDecision

_TABLES_KEPT = 64
_ROUNDING = 1.0 - 1e-9


class RunnerUpFinder:
    """Finds the exact plan of a slot that does without the leading configuration at its place.

    The plan is the one :class:`ExactPlanner` would make at the multiplier of the decision: least
    ``phi + ([lambda + mu g]^+)^2 / (2 mu)``, so it meets the target about as well as the decision,
    whichever way is dearer. Two things of the decision are kept, so that what is compared is
    configurations and places:

    * frames run locally at its GPU clock or a higher one: policies raise the clock for what may
      come otherwise than expected, or keep to one, which an expected cost does not show;
    * where accuracy has no price, only configurations are used that meet the target, or reach the
      expected mAP of the decision if that is lower.

    What is derived from tables and settings is kept while they stay the same objects; what is
    found depends on the arguments alone.
    """

    def __init__(self) -> None:
        self._planner = ExactPlanner()
        self._table: PointTable | None = None
        self._settings: ControlSettings | None = None
        self._step = 0.0
        self._parts: dict[bytes, tuple[PointTable, SlotRows]] = {}  # by what may be offloaded

    def find(
        self,
        decision: SlotDecision,
        forecast: Forecast,
        settings: ControlSettings,
        table: PointTable,
    ) -> SlotDecision | None:
        """The runner-up, with what is expected of it; None: there is none.

        :param table: all configurations of the forecast.
        """
        if not (table.points and 0.0 < forecast.arrival_fps < math.inf):
            return None
        if table is not self._table or settings is not self._settings:
            self._table, self._settings = table, settings
            self._step = self._planner.step(table, settings)
            self._parts.clear()
        capacity_bps, share = capacity_counted_on(forecast, settings, table)
        here, there = _allowed(decision, settings, table)
        part, rows = self._part(there)
        admitted = admitted_locally(part.local_s, forecast.arrival_fps, settings) & here
        admitted[: _level_of(decision, table)] = False
        can_send = capacity_bps > 0.0 and share > 0.0 and bool(part.upload_bits.any())
        with np.errstate(all='ignore'):  # figures no robot has: what cannot be told is not chosen
            plans, value = exact_plans(
                rows,
                part,
                arrival_fps=forecast.arrival_fps,
                capacities_bps=(capacity_bps,) if can_send else (),
                server_share=share,
                settings=settings,
                multipliers=(decision.multiplier, decision.multiplier),
                step=self._step,
                admitted=admitted,
            )
        best = int(value.argmin())
        found = compose(
            table,
            rounded(plans.local_fps[best], settings),
            rounded(plans.edge_fps[best], settings),
            int(plans.level[best]),
            slot=forecast.slot,
            arrival_fps=forecast.arrival_fps,
            settings=settings,
            multiplier=decision.multiplier,
        )
        return found if found.allocations else None

    def _part(self, there: Flags) -> tuple[PointTable, SlotRows]:
        """The table, with uploads only of what may be offloaded."""
        assert self._table is not None
        key = there.tobytes()
        part = self._parts.get(key)
        if part is None:
            if len(self._parts) >= _TABLES_KEPT:
                self._parts.clear()
            upload_bits = np.where(there, self._table.upload_bits, 0.0)
            table = dataclasses.replace(self._table, upload_bits=upload_bits)
            part = self._parts[key] = table, SlotRows()
        return part


def _allowed(
    decision: SlotDecision, settings: ControlSettings, table: PointTable
) -> tuple[Flags, Flags]:
    """Configurations the runner-up may run on the robot, and at the edge, shape (K,) each."""
    here: Flags = np.ones(len(table.points), dtype=np.bool_)
    if decision.multiplier <= 0.0:
        least_map = table.reachable_target_map(settings)
        least_map = min(least_map, decision.expected_map)
        here = table.accuracy_map >= least_map * _ROUNDING
    there = here.copy()
    leading = max(decision.allocations, key=lambda a: a.rate_fps, default=None)
    if leading is not None:
        k = table.index.get((leading.model, leading.input_size_px))
        if k is not None:
            (here if leading.origin is Origin.LOCAL else there)[k] = False
    return here, there


def _level_of(decision: SlotDecision, table: PointTable) -> int:
    """Index of the clock level decided; 0 where it is left to the device."""
    levels_hz = table.device.clock_levels_hz
    return min(bisect_left(levels_hz, decision.gpu_frequency_hz * _ROUNDING), len(levels_hz) - 1)
