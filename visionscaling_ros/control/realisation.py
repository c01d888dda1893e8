"""From shares over clock levels to what a slot can really do: one clock, a few allocations."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.control.evaluation import slot_cost
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision

_RATE_STEP_FPS = 1e-3
_SLACK = 1.0 + 1e-9


def lowest_level(local_fps: Vector, problem: SlotProblem) -> int:
    """Index of the lowest clock level that carries the local rates, shape (K,) [frames/s]."""
    count, levels = len(problem.points), len(problem.levels_hz)
    admissible = problem.admissible[: count * levels].reshape(count, levels)
    keeps_up = local_fps @ problem.local_s <= problem.bounds[1] * _SLACK
    keeps_up &= np.all(admissible[local_fps > 0.0], axis=0)
    return int(np.argmax(keeps_up)) if keeps_up.any() else levels - 1


def compose(
    table: PointTable,
    local_fps: Vector,
    edge_fps: Vector,
    level: int,
    *,
    slot: int,
    arrival_fps: float,
    settings: ControlSettings,
    policy: str = '',
    multiplier: float = 0.0,
) -> SlotDecision:
    """A decision with what is expected of it, from rates per configuration and a clock level.

    :param local_fps: shape (K,) [frames/s].
    :param edge_fps: shape (K,) [frames/s].
    """
    allocations = []
    need_bps = busy = merit = processed_fps = largest_bits = 0.0
    local_s = table.local_s[level] if len(table.points) else local_fps
    for k in np.flatnonzero(local_fps).tolist():
        point, rate_fps = table.points[k], float(local_fps[k])
        allocations.append(Allocation(point.model, point.input_size_px, Origin.LOCAL, rate_fps))
        busy += rate_fps * float(local_s[k])
        merit += rate_fps * point.accuracy_map
        processed_fps += rate_fps
    for k in np.flatnonzero(edge_fps).tolist():
        point, rate_fps = table.points[k], float(edge_fps[k])
        allocations.append(Allocation(point.model, point.input_size_px, Origin.EDGE, rate_fps))
        need_bps += rate_fps * point.upload_bits
        largest_bits = max(largest_bits, point.upload_bits)
        merit += rate_fps * point.accuracy_map
        processed_fps += rate_fps
    device = table.device
    frequency_hz = device.clock_levels_hz[level]
    power_w = device.power_w(frequency_hz, min(1.0, busy), need_bps)
    return SlotDecision(
        slot=slot,
        allocations=tuple(allocations),
        gpu_frequency_hz=frequency_hz if device.can_set_clock else 0.0,
        tx_rate_bps=_tx_ceiling_bps(need_bps, largest_bits, settings),
        arrival_fps=arrival_fps,
        policy=policy,
        expected_power_w=power_w,
        expected_processed_fps=processed_fps,
        expected_map=merit / processed_fps if processed_fps > 0.0 else math.nan,
        expected_cost=slot_cost(power_w, processed_fps, settings, device),
        multiplier=multiplier,
    )


def rounded(rates_fps: Vector, settings: ControlSettings) -> Vector:
    """Rates without the tiny ones, rounded down, shape (K,) [frames/s]."""
    floored = np.floor(rates_fps / _RATE_STEP_FPS + 1e-6) * _RATE_STEP_FPS
    return np.where(floored >= max(settings.min_rate_fps, _RATE_STEP_FPS), floored, 0.0)


def _tx_ceiling_bps(need_bps: float, largest_bits: float, settings: ControlSettings) -> float:
    """A little above the need, which the capacity bounds, and fast enough for one frame."""
    if need_bps <= 0.0:
        return 0.0
    fast_enough_bps = largest_bits / settings.tx_max_frame_s
    return math.ceil(max(settings.tx_headroom * need_bps, fast_enough_bps))
