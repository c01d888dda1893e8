"""The decision problem of one slot as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.projections import Vector, project_packing_polytope
from visionscaling_ros.control.rate_utility import rate_utility_slope
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import OperatingPoint


@dataclass(frozen=True)
class SlotProblem:
    """A convex problem in the shares of the arriving frames.

    With clock level and configuration time-shared within the slot, the variables are the shares
    ``y`` of the arriving frames run locally in configuration k at clock level j, and offloaded in
    configuration k: shape (n,), n = K J + K, local ones first, level running fastest. As rates
    are the variables, the cost is convex and the constraints are linear:

        local frame      keeps the robot busy t_kj = kappa_k / f_j + s_k [s] at alpha f_j^3 [W]
        offloaded frame  takes b_k (w + P_fixed / c) [J], the largest convex function below the
                         radio's fixed power plus w per bit; it is exact at 0 and at capacity c
        feasible set     sum y <= 1;  a sum t y <= utilisation ceiling;  a sum b y <= c;
                         a sum sigma y <= server share;  y >= 0

    :param table: the configurations as arrays.
    :param points: configurations, length K.
    :param levels_hz: clock levels, length J [Hz].
    :param arrival_fps: a, frames that arrive [frames/s].
    :param local_s: time a local frame keeps the robot busy, shape (K, J) [s].
    :param energy_j: energy each variable adds per frame, shape (n,) [J].
    :param accuracy_gap_map: target minus accuracy of each variable, shape (n,) [mAP].
    :param admissible: variables that may be used, shape (n,).
    :param rows: what all arriving frames in one variable take of each resource, shape (4, n).
    :param bounds: how much of each resource there is, shape (4,).
    """

    table: PointTable
    points: tuple[OperatingPoint, ...]
    levels_hz: tuple[float, ...]
    device: DeviceModel
    arrival_fps: float
    local_s: Vector
    energy_j: Vector
    accuracy_gap_map: Vector
    admissible: npt.NDArray[np.bool_]
    rows: Vector
    bounds: Vector

    @classmethod
    def build(
        cls,
        forecast: Forecast,
        settings: ControlSettings,
        use_edge: bool,
        table: PointTable | None = None,
    ) -> SlotProblem:
        """The problem of the slot forecast; a target nobody reaches is lowered to the best.

        :param table: the forecast's configurations, if they are at hand; some may be left out.
        """
        if table is None:
            table = PointTable.build(forecast.operating_points, forecast.device)
        device = table.device
        arrival_fps = max(forecast.arrival_fps, 0.0)
        capacity_bps = forecast.capacity_bps if use_edge and forecast.edge_reachable else 0.0
        if math.isnan(capacity_bps):  # unknown: one frame a second finds out
            capacity_bps = float(np.max(table.upload_bits, initial=0.0))
        server_share = 1.0 if math.isnan(forecast.server_share) else forecast.server_share
        radio_j_per_bit = device.radio_w_per_mbps * 1e-6
        radio_j_per_bit += device.radio_fixed_w / max(capacity_bps, 1.0)
        local_s = np.ascontiguousarray(table.local_s.T)
        locals_, count = local_s.size, len(table.points)
        gap = table.reachable_target_map(settings) - table.accuracy_map
        admitted = admitted_locally(table.local_s, arrival_fps, settings)
        edge_ok = (table.upload_bits > 0.0) & (capacity_bps > 0.0) & (server_share > 0.0)
        rows = np.zeros((4, locals_ + count))
        rows[0] = 1.0
        rows[1, :locals_] = arrival_fps * local_s.ravel()
        rows[2, locals_:] = arrival_fps * table.upload_bits
        rows[3, locals_:] = arrival_fps * table.server_s
        return cls(
            table=table,
            points=table.points,
            levels_hz=device.clock_levels_hz,
            device=device,
            arrival_fps=arrival_fps,
            local_s=local_s,
            energy_j=np.concatenate(
                [(table.busy_w * local_s).ravel(), radio_j_per_bit * table.upload_bits]
            ),
            accuracy_gap_map=np.concatenate([np.repeat(gap, len(table.busy_w)), gap]),
            admissible=np.concatenate([admitted.T.ravel(), edge_ok]),
            rows=rows,
            bounds=np.array(
                [1.0, settings.utilization_ceiling, max(capacity_bps, 0.0), max(server_share, 0.0)]
            ),
        )

    def project(self, shares: Vector) -> Vector:
        """The feasible shares nearest to the ones given."""
        reachable = np.where(self.admissible, shares, 0.0)
        return project_packing_polytope(reachable, self.rows, self.bounds)

    def cost_slope(self, shares: Vector, settings: ControlSettings) -> Vector:
        """Gradient of the cost in the rates, at the shares given [cost per frame/s]."""
        processed_fps = np.array(self.arrival_fps * float(shares.sum()))
        return self.energy_slope(settings) - self.rate_slope(processed_fps, settings)

    def energy_slope(self, settings: ControlSettings) -> Vector:
        """What the energy of a frame costs in each variable, shape (n,) [cost per frame/s]."""
        slope: Vector = settings.weight_energy / self.device.p_max_w * self.energy_j
        return slope

    def rate_slope(self, processed_fps: Vector, settings: ControlSettings) -> Vector:
        """What one frame/s more is worth at these rates, any shape [cost per frame/s]."""
        slope: Vector = settings.weight_rate * rate_utility_slope(
            processed_fps, settings.full_rate_fps
        )
        if settings.min_processed_fps > 0.0:
            short = processed_fps < settings.min_processed_fps
            slope = slope + settings.weight_rate / settings.min_processed_fps * short
        return slope

    def local_fps(self, shares: Vector) -> Vector:
        """Rates run locally, summed over clock levels, shape (K,) [frames/s]."""
        count = len(self.points)
        local = shares[: shares.size - count].reshape(count, len(self.levels_hz))
        rates_fps: Vector = self.arrival_fps * local.sum(axis=1)
        return rates_fps

    def edge_fps(self, shares: Vector) -> Vector:
        """Rates offloaded, shape (K,) [frames/s]."""
        return self.arrival_fps * shares[shares.size - len(self.points) :]

