"""A small robot for tests of policies: three configurations, four clocks, and a fluid world."""

from __future__ import annotations

import dataclasses
import math

from visionscaling_ros.control import ControlSettings, DeviceModel, Forecast, Policy
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotDecision, SlotState

SETTINGS = ControlSettings(accuracy_target_map=0.5)
DEVICE = DeviceModel((3e8, 6e8, 9e8, 1.3e9), 1.5, 3.2, 4.0, 0.54, 0.08)
SMALL = OperatingPoint('n', 160, 0.35, 0.006, 0.001, 60e3, 0.001)
MIDDLE = OperatingPoint('s', 320, 0.50, 0.018, 0.002, 150e3, 0.004)
LARGE = OperatingPoint('m', 416, 0.64, 0.050, 0.004, 250e3, 0.010)
POINTS = (LARGE, SMALL, MIDDLE)
FORECAST = Forecast(1, 1.0, 15.0, 4e6, 1.0, True, POINTS, DEVICE)


def forecast(**changes: object) -> Forecast:
    return dataclasses.replace(FORECAST, **changes)  # type: ignore[arg-type]


def ran(decision: SlotDecision, **changes: object) -> SlotState:
    """The state of a slot in which everything ran as decided."""
    rates = {
        origin: sum(a.rate_fps for a in decision.allocations if a.origin is origin)
        for origin in Origin
    }
    values: dict[str, object] = {
        'slot': decision.slot,
        'duration_s': 1.0,
        'arrival_fps': decision.arrival_fps,
        'processed_local_fps': rates[Origin.LOCAL],
        'processed_edge_fps': rates[Origin.EDGE],
        'gpu_frequency_hz': decision.gpu_frequency_hz,
        'processed': decision.allocations,
        'operating_points': FORECAST.operating_points,
        'edge_reachable': True,
    }
    return SlotState(**(values | changes))  # type: ignore[arg-type]


def point_of(allocation: Allocation) -> OperatingPoint:
    return next(p for p in POINTS if p.model == allocation.model)


def played(
    decision: SlotDecision,
    *,
    arrival_fps: float = 15.0,
    capacity_bps: float = 4e6,
    slowdown: float = 1.0,
) -> SlotState:
    """What a slot comes to: too much of anything is scaled down, nothing queues."""
    clock_hz = decision.gpu_frequency_hz
    scale = arrival_fps / decision.arrival_fps if decision.arrival_fps > 0.0 else 0.0
    local = [a for a in decision.allocations if a.origin is Origin.LOCAL]
    edge = [a for a in decision.allocations if a.origin is Origin.EDGE]
    times_s = [point_of(a).local_latency_s(clock_hz) * slowdown for a in local]
    busy = scale * sum(a.rate_fps * t for a, t in zip(local, times_s, strict=True))
    bits = scale * sum(a.rate_fps * point_of(a).upload_bits for a in edge)
    kept, sent = scale / max(1.0, busy), scale * min(1.0, capacity_bps / max(bits, 1.0))
    done = [dataclasses.replace(a, rate_fps=a.rate_fps * kept) for a in local]
    done += [dataclasses.replace(a, rate_fps=a.rate_fps * sent) for a in edge]
    local_fps = kept * sum(a.rate_fps for a in local)
    frame_s = kept * sum(a.rate_fps * t for a, t in zip(local, times_s, strict=True))
    return SlotState(
        slot=decision.slot,
        duration_s=1.0,
        arrival_fps=arrival_fps,
        processed_local_fps=local_fps,
        processed_edge_fps=sent * sum(a.rate_fps for a in edge),
        latency_local_mean_s=frame_s / local_fps if local_fps > 0.0 else math.nan,
        latency_edge_mean_s=0.08 if edge else math.nan,
        power_w=DEVICE.power_w(clock_hz, min(busy, 1.0), min(bits, capacity_bps)),
        gpu_frequency_hz=clock_hz,
        gpu_utilization=min(busy, 1.0),
        edge_reachable=capacity_bps > 0.0,
        processed=tuple(a for a in done if a.rate_fps > 0.0),
        operating_points=POINTS,
    )


def play(
    policy: Policy,
    slots: int,
    *,
    arrival_fps: float = 15.0,
    capacity_bps: float = 0.0,
    slowdown: float = 1.0,
) -> list[tuple[SlotDecision, SlotState]]:
    """A world that stays as it is, forecast as it is but for the slowdown."""
    world = forecast(
        arrival_fps=arrival_fps, capacity_bps=capacity_bps, edge_reachable=capacity_bps > 0.0
    )
    slots_played = []
    for slot in range(slots):
        decision = policy.decide(dataclasses.replace(world, slot=slot))
        state = played(
            decision, arrival_fps=arrival_fps, capacity_bps=capacity_bps, slowdown=slowdown
        )
        policy.observe(state)
        slots_played.append((decision, state))
    return slots_played
