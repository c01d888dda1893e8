"""The rows of a slot: every clock level with the radio on and off, for one or more forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.exact import RateWorth, RowProblem
from visionscaling_ros.control.frontier import Flags, Indices, envelope
from visionscaling_ros.control.point_table import PointTable, efficient
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.rate_utility import rate_utility_scale
from visionscaling_ros.control.resource import OneResource, Resource, TwoResources
from visionscaling_ros.control.settings import ControlSettings

_FRONTIERS_KEPT = 64  # one for every set of configurations admitted


@dataclass(frozen=True)
class RowConditions:
    """What each of R rows has to do with; all of shape (R,).

    :param level: index of the clock level.
    :param arrival_fps: frames that arrive [frames/s].
    :param capacity_bps: what the uplink carries [bit/s]; 0: the radio is off.
    :param server_share: share of the server, 0 to 1.
    :param time_factor: local time of a frame over the table's.
    :param of_one_slot: the rows of :meth:`of_slot`, all of them.
    """

    level: Indices
    arrival_fps: Vector
    capacity_bps: Vector
    server_share: Vector
    time_factor: Vector
    of_one_slot: bool = False

    @classmethod
    def of_slot(
        cls, levels: int, arrival_fps: float, capacities_bps: Sequence[float], server_share: float
    ) -> RowConditions:
        """One slot with several opinions on the capacity: without radio, then with each."""
        rows = (1 + len(capacities_bps)) * levels
        return cls(
            np.tile(np.arange(levels), 1 + len(capacities_bps)),
            np.full(rows, arrival_fps),
            np.repeat([0.0, *capacities_bps], levels),
            np.full(rows, server_share),
            np.ones(rows),
            of_one_slot=True,
        )

    def rows(self, chosen: Indices) -> RowConditions:
        """Some of the rows."""
        return RowConditions(
            self.level[chosen],
            self.arrival_fps[chosen],
            self.capacity_bps[chosen],
            self.server_share[chosen],
            self.time_factor[chosen],
        )


class SlotRows:
    """Builds the rows of a slot or of many; frontiers are kept while they stay the same."""

    def __init__(self) -> None:
        self._table: PointTable | None = None
        self._settings: ControlSettings | None = None
        self._robots: dict[bytes, tuple[Indices, Vector, Flags]] = {}
        self._resources: dict[tuple[bytes, int], OneResource] = {}  # of one slot's rows

    def build(
        self,
        table: PointTable,
        conditions: RowConditions,
        settings: ControlSettings,
        *,
        admitted: Flags,
        with_server: bool = False,
    ) -> RowProblem:
        """The problem of all rows.

        :param table: of at least one configuration.
        :param admitted: configurations that may run locally at each level, shape (J, K).
        :param with_server: the server's time binds, besides the uplink.
        """
        device = table.device
        per_watt = settings.weight_energy / device.p_max_w
        can_send = (conditions.capacity_bps > 0.0) & (conditions.server_share > 0.0)
        sends = can_send & bool(np.any(table.upload_bits > 0.0))
        least_fps = settings.min_processed_fps
        self._update(table, admitted, settings)
        edge = self._server if with_server else self._uplink
        return RowProblem(
            local=self._robot(table, conditions, settings, per_watt),
            edge=edge(table, conditions, np.where(sends, conditions.capacity_bps, 0.0), per_watt),
            fixed_cost=per_watt
            * (device.base_w + device.beta_w + np.where(sends, device.radio_fixed_w, 0.0)),
            arrival_fps=conditions.arrival_fps,
            worth=RateWorth(
                weight=settings.weight_rate / rate_utility_scale(settings.full_rate_fps),
                least_fps=least_fps,
                least_slope=settings.weight_rate / least_fps if least_fps > 0.0 else 0.0,
            ),
        )

    def _update(self, table: PointTable, admitted: Flags, settings: ControlSettings) -> None:
        if table is not self._table or settings is not self._settings:
            self._settings = settings
            self._merit = table.accuracy_map - table.reachable_target_map(settings)
            self._resources.clear()
        if table is not self._table:
            self._table = table
            self._robots.clear()
            uploads = np.where(table.upload_bits > 0.0, table.upload_bits, 1.0)
            self._edge_index = envelope(
                uploads[None], table.accuracy_map[None], table.upload_bits[None] > 0.0
            )
            self._edge_use = uploads[self._edge_index]
        key = admitted.tobytes()
        robot = self._robots.get(key)
        if robot is None:
            if len(self._robots) >= _FRONTIERS_KEPT:
                self._robots.clear()
                self._resources.clear()
            accuracy = np.broadcast_to(table.accuracy_map, admitted.shape)
            index = envelope(table.local_s, accuracy, admitted)
            use = np.take_along_axis(table.local_s, index, 1)
            any_admitted: Flags = np.logical_or.reduce(admitted, axis=1)
            robot = self._robots[key] = (index, use, any_admitted)
        self._local_index, self._local_use, self._budget = robot
        self._key = key

    def _robot(
        self,
        table: PointTable,
        conditions: RowConditions,
        settings: ControlSettings,
        per_watt: float,
    ) -> Resource:
        level = conditions.level
        key = (self._key, len(level))
        if conditions.of_one_slot and key in self._resources:
            return self._resources[key]
        index = self._local_index[level]
        robot = OneResource(
            index,
            use=self._local_use[level] * conditions.time_factor[:, None],
            merit=self._merit[index],
            price=per_watt * table.busy_w[level],
            budget=np.where(self._budget, settings.utilization_ceiling, 0.0)[level],
        )
        if conditions.of_one_slot:
            self._resources[key] = robot
        return robot

    def _uplink(
        self, table: PointTable, conditions: RowConditions, budget_bps: Vector, per_watt: float
    ) -> Resource:
        key = (b'', len(budget_bps))
        if key in self._resources:
            return self._resources[key].with_budget(budget_bps)
        rows = np.zeros(len(budget_bps), dtype=np.intp)
        index = self._edge_index[rows]
        uplink = self._resources[key] = OneResource(
            index,
            use=self._edge_use[rows],
            merit=self._merit[index],
            price=np.full(len(rows), per_watt * table.device.radio_w_per_mbps * 1e-6),
            budget=budget_bps,
        )
        return uplink

    def _server(
        self, table: PointTable, conditions: RowConditions, budget_bps: Vector, per_watt: float
    ) -> Resource:
        offloadable = table.upload_bits > 0.0
        uses = np.stack([np.where(offloadable, table.upload_bits, np.inf), table.server_s])
        kept = np.flatnonzero(efficient(uses, table.accuracy_map) & offloadable)
        index = np.tile(kept, (len(budget_bps), 1))
        return TwoResources(
            index,
            use=table.upload_bits[index],
            merit=self._merit[index],
            price=np.full(len(budget_bps), per_watt * table.device.radio_w_per_mbps * 1e-6),
            budget=budget_bps,
            second=table.server_s[index],
            second_budget=np.where(budget_bps > 0.0, conditions.server_share, 0.0),
        )
