"""From shares over clock levels to what a slot can really do: one clock, a few allocations."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.control.evaluation import accuracy_constraint, slot_cost
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision

_RATE_STEP_FPS = 1e-3
_SLACK = 1.0 + 1e-9


def realise(
    shares: Vector, problem: SlotProblem, forecast: Forecast, settings: ControlSettings
) -> SlotDecision:
    """The decision nearest to the shares that one clock for the slot can carry.

    Local and offloaded rates of a configuration are kept, but for rounding down and leaving out
    tiny ones; the clock is the lowest level at which the robot keeps up with them. Mixing levels
    within a slot can be no slower than its highest level, so such a level exists.
    """
    local_fps = _rounded(problem.local_fps(shares), settings)
    edge_fps = _rounded(problem.edge_fps(shares), settings)
    level = lowest_level(local_fps, problem)
    return assemble(problem, local_fps, edge_fps, level, slot=forecast.slot, settings=settings)


def lowest_level(local_fps: Vector, problem: SlotProblem) -> int:
    """Index of the lowest clock level that carries the local rates, shape (K,) [frames/s]."""
    count, levels = len(problem.points), len(problem.levels_hz)
    admissible = problem.admissible[: count * levels].reshape(count, levels)
    keeps_up = local_fps @ problem.local_s <= problem.bounds[1] * _SLACK
    keeps_up &= np.all(admissible[local_fps > 0.0], axis=0)
    return int(np.argmax(keeps_up)) if keeps_up.any() else levels - 1


def assemble(
    problem: SlotProblem,
    local_fps: Vector,
    edge_fps: Vector,
    level: int,
    *,
    slot: int,
    settings: ControlSettings,
) -> SlotDecision:
    """A decision with what is expected of it, from rates per configuration and a clock level."""
    allocations = tuple(
        Allocation(point.model, point.input_size_px, origin, float(rate))
        for origin, rates in ((Origin.LOCAL, local_fps), (Origin.EDGE, edge_fps))
        for point, rate in zip(problem.points, rates, strict=True)
        if rate > 0.0
    )
    device = problem.device
    frequency_hz = problem.levels_hz[level]
    uploads = np.array([p.upload_bits for p in problem.points])
    need_bps = float(uploads @ edge_fps)
    utilization = min(1.0, float(local_fps @ problem.local_s[:, level]))
    power_w = device.power_w(frequency_hz, utilization, need_bps)
    processed_fps = float(local_fps.sum() + edge_fps.sum())
    _, mean_map = accuracy_constraint(allocations, problem.points, 0.0)
    return SlotDecision(
        slot=slot,
        allocations=allocations,
        gpu_frequency_hz=frequency_hz if device.can_set_clock else 0.0,
        tx_rate_bps=_tx_ceiling_bps(need_bps, uploads[edge_fps > 0.0], settings),
        arrival_fps=problem.arrival_fps,
        policy='',
        expected_power_w=power_w,
        expected_processed_fps=processed_fps,
        expected_map=mean_map,
        expected_cost=slot_cost(power_w, processed_fps, settings, device),
    )


def _rounded(rates_fps: Vector, settings: ControlSettings) -> Vector:
    floored = np.floor(rates_fps / _RATE_STEP_FPS + 1e-6) * _RATE_STEP_FPS
    return np.where(floored >= max(settings.min_rate_fps, _RATE_STEP_FPS), floored, 0.0)


def _tx_ceiling_bps(need_bps: float, uploads: Vector, settings: ControlSettings) -> float:
    """A little above the need, which the capacity bounds, and fast enough for one frame."""
    if uploads.size == 0:
        return 0.0
    fast_enough_bps = float(uploads.max()) / settings.tx_max_frame_s
    return math.ceil(max(settings.tx_headroom * need_bps, fast_enough_bps))
