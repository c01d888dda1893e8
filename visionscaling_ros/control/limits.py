"""How much of its limits a decision uses, and which of them it reaches."""

from __future__ import annotations

import math

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Binding, Explanation, Origin, SlotDecision

REACHED = 0.99  # of a limit: what frames cost is known to 1 %, and rates are rounded by less
_LEAST_BPS = 1.0  # an uplink that carries less is none


def explain_limits(
    decision: SlotDecision, forecast: Forecast, settings: ControlSettings, table: PointTable
) -> Explanation:
    """What a decision uses of its limits, without a runner-up.

    A split frame counts as one at the edge, as everywhere in the model. Above 1 is what a policy
    asks for beyond the limit, or what it expects beyond the capacity counted on.

    :param table: all configurations of the forecast.
    """
    device = table.device
    top_hz = device.clock_levels_hz[-1]
    edge_usable = forecast.edge_reachable and settings.allow_edge
    capacity_bps, share = capacity_counted_on(forecast, settings, table)
    transfer_bps = _transfer_bps(decision, forecast, capacity_bps)
    busy = need_bps = server = frames_s = rate_fps = 0.0
    for used in decision.allocations:
        k = table.index.get((used.model, used.input_size_px))
        if k is None:
            continue
        point, rate = table.points[k], used.rate_fps
        if used.origin is Origin.LOCAL:
            frame_s = point.local_latency_s(decision.gpu_frequency_hz or top_hz)
            busy += rate * frame_s
        else:
            server_s = float(table.server_s[k])
            need_bps += rate * point.upload_bits
            server += rate * server_s
            frame_s = point.upload_bits / transfer_bps + server_s
        frames_s += rate * frame_s
        rate_fps += rate
    arrivals = _over(decision.expected_processed_fps, forecast.arrival_fps)
    compute = busy / settings.utilization_ceiling
    uplink = _over(need_bps, capacity_bps, least=_LEAST_BPS)
    server = _over(server, share)
    clock = decision.gpu_frequency_hz / top_hz if device.can_set_clock else math.nan
    binding = (
        Binding.ACCURACY * _accuracy_binds(decision.expected_map, settings, table)
        | Binding.ARRIVALS * (arrivals >= REACHED)
        | Binding.COMPUTE * (compute >= REACHED)
        | Binding.UPLINK * (uplink >= REACHED)
        | Binding.SERVER * (server >= REACHED)
        | Binding.CLOCK * (clock >= REACHED)
    )
    return Explanation(
        binding_constraints=Binding(binding),
        accuracy_margin_map=decision.expected_map - settings.accuracy_target_map,
        arrivals_usage=arrivals,
        compute_usage=compute,
        uplink_usage=uplink,
        server_usage=server,
        clock_usage=clock,
        edge_usable=edge_usable,
        expected_latency_s=frames_s / rate_fps if rate_fps > 0.0 else math.nan,
    )


def capacity_counted_on(
    forecast: Forecast, settings: ControlSettings, table: PointTable
) -> tuple[float, float]:
    """Capacity [bit/s] and share of the server, 0 to 1; 0 of both where the edge is of no use."""
    if not (forecast.edge_reachable and settings.allow_edge):
        return 0.0, 0.0
    capacity_bps, share = forecast.capacity_bps, forecast.server_share
    if not 0.0 <= capacity_bps < math.inf:  # unknown: one frame a second finds out
        capacity_bps = float(table.upload_bits.max(initial=0.0))
    return capacity_bps, min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0


def _transfer_bps(decision: SlotDecision, forecast: Forecast, capacity_bps: float) -> float:
    """Rate at which a frame is sent [bit/s]; NaN: not known."""
    if capacity_bps < _LEAST_BPS:
        return math.nan
    rate_bps = decision.tx_rate_bps if decision.tx_rate_bps > 0.0 else math.inf
    if forecast.exploration_fps <= 0.0 and math.isfinite(forecast.capacity_bps):
        rate_bps = min(rate_bps, capacity_bps)
    return rate_bps if rate_bps < math.inf else math.nan


def _over(used: float, there_is: float, *, least: float = 1e-9) -> float:
    """The share that is used; NaN where there is less than ``least``."""
    return used / there_is if least <= there_is < math.inf else math.nan


def _accuracy_binds(expected_map: float, settings: ControlSettings, table: PointTable) -> bool:
    """The expected mAP is at the target or below, and something less accurate could be used."""
    nearly_map = REACHED * expected_map
    return table.lowest_map < nearly_map <= table.reachable_target_map(settings)
