"""A decision from a few rates, with what is expected of it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from visionscaling_ros.control.evaluation import slot_cost
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import Choices, Link, arrivals_fps
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision

Rate = tuple[int, Origin, float]  # configuration, where, frames/s
_LEAST_RATE_FPS = 1e-3


def decide_rates(
    choices: Choices,
    forecast: Forecast,
    settings: ControlSettings,
    policy: str,
    rates: Iterable[Rate],
    *,
    level: int,
    link: Link | None = None,
    paced: bool = True,
) -> SlotDecision:
    """As :func:`visionscaling_ros.control.realisation.compose`, for few configurations.

    More may be asked for than the robot can run or, where a ``link`` is given, than it carries:
    what is expected is what is carried. Where it is not ``paced``, the uplink has no ceiling.
    """
    need_bps = need_s = busy = largest_bits = 0.0
    local_fps = local_merit = edge_fps = edge_merit = 0.0
    least_fps = max(settings.min_rate_fps, _LEAST_RATE_FPS)
    allocations = []
    for k, origin, rate_fps in rates:
        if rate_fps < least_fps:
            continue
        point = choices.points[k]
        allocations.append(Allocation(point.model, point.input_size_px, origin, rate_fps))
        if origin is Origin.LOCAL:
            local_fps += rate_fps
            local_merit += rate_fps * point.accuracy_map
            busy += rate_fps * choices.local_s[k][level]
        else:
            edge_fps += rate_fps
            edge_merit += rate_fps * point.accuracy_map
            need_bps += rate_fps * point.upload_bits
            need_s += rate_fps * choices.server_s[k]
            largest_bits = max(largest_bits, point.upload_bits)
    kept = 1.0 / max(1.0, busy)
    sent = carried = 1.0
    if link is not None and edge_fps > 0.0:
        sent = min(1.0, link.capacity_bps / need_bps) if need_bps > 0.0 else 1.0
        carried = min(sent, link.server_share / need_s)
    processed_fps = local_fps * kept + edge_fps * carried
    merit = local_merit * kept + edge_merit * carried
    device = choices.device
    frequency_hz = choices.levels_hz[level]
    power_w = device.power_w(frequency_hz, busy * kept, need_bps * sent)
    tx_rate_bps = 0.0
    if paced and need_bps > 0.0:
        fast_enough_bps = largest_bits / settings.tx_max_frame_s
        tx_rate_bps = float(math.ceil(max(settings.tx_headroom * need_bps, fast_enough_bps)))
    return SlotDecision(
        slot=forecast.slot,
        allocations=tuple(allocations),
        gpu_frequency_hz=frequency_hz if device.can_set_clock else 0.0,
        tx_rate_bps=tx_rate_bps,
        arrival_fps=arrivals_fps(forecast),
        policy=policy,
        expected_power_w=power_w,
        expected_processed_fps=processed_fps,
        expected_map=merit / processed_fps if processed_fps > 0.0 else math.nan,
        expected_cost=slot_cost(power_w, processed_fps, settings, device),
    )


def with_exploration(choices: Choices, link: Link, k: int, rate_fps: float) -> tuple[Rate, ...]:
    """A local configuration, but for the few frames sent to learn an unknown capacity."""
    explored_fps = min(link.exploration_fps, rate_fps, choices.edge_limit_fps(k, link))
    if explored_fps <= 0.0:
        return ((k, Origin.LOCAL, rate_fps),)
    return (k, Origin.LOCAL, rate_fps - explored_fps), (k, Origin.EDGE, explored_fps)
