"""What plans come to in a slot, as a fluid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.frontier import Flags
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.rate_utility import HALF_RATE_FPS, rate_utility_scale
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_plan import SlotPlans

_LEAST_BPS = 1.0
_LEAST_S = 1e-9


@dataclass(frozen=True)
class Outcome:
    """What plans come to; arrays of one shape.

    :param cost: phi but for idle power.
    :param constraint: g [mAP frames/s].
    :param sends: something is sent.
    """

    cost: Vector
    constraint: Vector
    sends: Flags


class Fluid:
    """Sums over the configurations of N plans, from which follows what they come to.

    A plan's rates are shares of the frames that arrive. Offloaded frames that uplink or server
    cannot carry come back and run locally while there is time; local frames beyond that are
    dropped.

    :param planned_fps: arrivals the plans were made for [frames/s].
    """

    def __init__(
        self, plans: SlotPlans, table: PointTable, planned_fps: float, settings: ControlSettings
    ) -> None:
        self._table, self._settings = table, settings
        self._planned_fps = max(planned_fps, _LEAST_S)
        merit_map = table.accuracy_map - table.reachable_target_map(settings)
        self.level = plans.level
        self._local_fps = plans.local_fps.sum(axis=1)
        self._edge_fps = plans.edge_fps.sum(axis=1)
        self._local_merit = plans.local_fps @ merit_map
        self._edge_merit = plans.edge_fps @ merit_map
        self._edge_bps = plans.edge_fps @ table.upload_bits
        self._edge_server_s = plans.edge_fps @ table.server_s
        self._local_s = plans.local_fps @ table.local_s.T  # busy time at every level, (N, J)
        self._edge_s = plans.edge_fps @ table.local_s.T

    def at_own_level(
        self,
        arrival_fps: float,
        capacity_bps: float,
        server_share: float,
        radio_on: Flags | bool = False,
    ) -> Outcome:
        """At the level of each plan, shape (N,).

        :param radio_on: the radio is on even if nothing is sent, shape (N,).
        """
        plan = np.arange(len(self.level))
        return self._outcome(
            self._local_s[plan, self.level],
            self._edge_s[plan, self.level],
            self._table.busy_w[self.level],
            (np.asarray(arrival_fps), np.asarray(capacity_bps), server_share),
            radio_on,
        )

    def at_every_level(
        self, arrivals_fps: Vector, capacities_bps: Vector, server_share: float
    ) -> Outcome:
        """At every level in S cases, shape (S, J, N); arrivals and capacities of shape (S,)."""
        return self._outcome(
            self._local_s.T,
            self._edge_s.T,
            self._table.busy_w[:, None],
            (arrivals_fps[:, None, None], capacities_bps[:, None, None], server_share),
            False,
        )

    def _outcome(
        self,
        local_s: Vector,
        edge_s: Vector,
        busy_w: Vector,
        world: tuple[Vector, Vector, float],
        radio_on: Flags | bool,
    ) -> Outcome:
        settings, device = self._settings, self._table.device
        arrival_fps, capacity_bps, server_share = world
        scale = arrival_fps / self._planned_fps
        need_bps = scale * self._edge_bps
        carried = np.minimum(
            capacity_bps / np.maximum(need_bps, _LEAST_BPS),
            server_share / np.maximum(scale * self._edge_server_s, _LEAST_S),
        )
        carried = np.minimum(carried, 1.0)
        offered = scale * local_s
        kept = 1.0 / np.maximum(offered, 1.0)
        busy = np.minimum(offered, 1.0)
        back_s = scale * (1.0 - carried) * edge_s
        taken = np.minimum((1.0 - busy) / np.maximum(back_s, _LEAST_S), 1.0)
        busy = busy + taken * back_s
        at_edge = carried + (1.0 - carried) * taken  # run, there or back here
        processed = scale * (self._local_fps * kept + self._edge_fps * at_edge)
        merit = scale * (self._local_merit * kept + self._edge_merit * at_edge)
        sent_bps = need_bps * carried
        sends: Flags = sent_bps > 0.0
        power_w = busy * busy_w + device.radio_w_per_mbps * 1e-6 * sent_bps
        power_w = power_w + device.radio_fixed_w * (sends | radio_on)
        worth = settings.weight_rate / rate_utility_scale(settings.full_rate_fps)
        cost = settings.weight_energy / device.p_max_w * power_w
        cost = cost - worth * processed / (processed + HALF_RATE_FPS)
        if settings.min_processed_fps > 0.0:
            missing = np.maximum(1.0 - processed / settings.min_processed_fps, 0.0)
            cost = cost + settings.weight_rate * missing
        return Outcome(cost, -merit, sends)
