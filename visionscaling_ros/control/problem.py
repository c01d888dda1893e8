"""The decision problem of one slot as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.forecast import Forecast
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
    def build(cls, forecast: Forecast, settings: ControlSettings, use_edge: bool) -> SlotProblem:
        """The problem of the slot forecast; a target nobody reaches is lowered to the best."""
        device = forecast.device
        points = tuple(p for p in forecast.operating_points if _usable(p))
        levels_ghz = np.array(device.clock_levels_hz) * 1e-9
        table = np.array(
            [
                (p.accuracy_map, p.gpu_work_ghz_s, p.serial_s, p.upload_bits, p.server_time_s)
                for p in points
            ]
        ).reshape(-1, 5)
        accuracy, work, serial, upload_bits, server_s = table.T
        arrival_fps = max(forecast.arrival_fps, 0.0)
        local_s = work[:, None] / levels_ghz + serial[:, None]
        server_s = np.where(server_s > 0.0, server_s, local_s[:, -1])
        capacity_bps = forecast.capacity_bps if use_edge and forecast.edge_reachable else 0.0
        if math.isnan(capacity_bps):  # unknown: one frame a second finds out
            capacity_bps = float(np.max(upload_bits, initial=0.0))
        server_share = 1.0 if math.isnan(forecast.server_share) else forecast.server_share
        radio_j = upload_bits * (
            device.radio_w_per_mbps * 1e-6 + device.radio_fixed_w / max(capacity_bps, 1.0)
        )
        target = min(settings.accuracy_target_map, float(np.max(accuracy, initial=0.0)))
        blocked_s = settings.max_blocked_arrivals / arrival_fps if arrival_fps > 0.0 else math.inf
        local_ok = local_s <= blocked_s
        local_ok[:, -1] = True
        edge_ok = (upload_bits > 0.0) & (capacity_bps > 0.0) & (server_share > 0.0)
        flat_local = local_s.ravel()
        no_edge, no_local = np.zeros(len(points)), np.zeros(flat_local.size)
        gap = target - accuracy
        return cls(
            points=points,
            levels_hz=device.clock_levels_hz,
            device=device,
            arrival_fps=arrival_fps,
            local_s=local_s,
            energy_j=np.concatenate(
                [(device.alpha_w_per_ghz3 * levels_ghz**3 * local_s).ravel(), radio_j]
            ),
            accuracy_gap_map=np.concatenate([np.repeat(gap, levels_ghz.size), gap]),
            admissible=np.concatenate([local_ok.ravel(), edge_ok]),
            rows=np.stack(
                [
                    np.ones(flat_local.size + len(points)),
                    arrival_fps * np.concatenate([flat_local, no_edge]),
                    arrival_fps * np.concatenate([no_local, upload_bits]),
                    arrival_fps * np.concatenate([no_local, server_s]),
                ]
            ),
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
        processed_fps = self.arrival_fps * float(shares.sum())
        rate_slope = settings.weight_rate * rate_utility_slope(
            processed_fps, settings.full_rate_fps
        )
        if processed_fps < settings.min_processed_fps:
            rate_slope += settings.weight_rate / settings.min_processed_fps
        return settings.weight_energy / self.device.p_max_w * self.energy_j - rate_slope

    def local_fps(self, shares: Vector) -> Vector:
        """Rates run locally, summed over clock levels, shape (K,) [frames/s]."""
        count = len(self.points)
        local = shares[: shares.size - count].reshape(count, len(self.levels_hz))
        rates_fps: Vector = self.arrival_fps * local.sum(axis=1)
        return rates_fps

    def edge_fps(self, shares: Vector) -> Vector:
        """Rates offloaded, shape (K,) [frames/s]."""
        return self.arrival_fps * shares[shares.size - len(self.points) :]


def _usable(point: OperatingPoint) -> bool:
    """True for a configuration whose figures make sense."""
    costs = (point.gpu_work_ghz_s, point.serial_s, point.upload_bits, point.server_time_s)
    finite = all(math.isfinite(cost) and cost >= 0.0 for cost in costs)
    runs = point.gpu_work_ghz_s + point.serial_s > 0.0
    return finite and runs and 0.0 <= point.accuracy_map <= 1.0
