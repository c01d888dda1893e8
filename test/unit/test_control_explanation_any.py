"""What every explanation must be, whatever was decided."""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
import pytest
from control_examples import SETTINGS, forecast, play, ran
from hypothesis import given, settings
from hypothesis import strategies as st
from test_control_policies import forecasts

from visionscaling_ros.control import (
    POLICY_NAMES,
    ControlSettings,
    Forecast,
    make_policy,
)
from visionscaling_ros.control.evaluation import slot_cost
from visionscaling_ros.control.exact_planner import ExactPlanner
from visionscaling_ros.control.explanation import Explainer, explain
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.realisation import compose, rounded
from visionscaling_ros.control.slot_plan import exact_plans
from visionscaling_ros.control.slot_rows import SlotRows
from visionscaling_ros.datatypes import (
    Allocation,
    Binding,
    Explanation,
    OperatingPoint,
    Origin,
    SlotDecision,
)

control_settings = st.builds(
    ControlSettings,
    accuracy_target_map=st.floats(0.0, 1.0),
    weight_energy=st.sampled_from([0.0, 1.0, 50.0]),
    weight_rate=st.sampled_from([0.0, 20.0, 1e3]),
    min_processed_fps=st.sampled_from([0.0, 5.0]),
    utilization_ceiling=st.floats(0.05, 1.0),
    max_blocked_arrivals=st.sampled_from([0.1, 2.0, 100.0]),
    min_rate_fps=st.sampled_from([0.0, 0.05, 1.0]),
    allow_edge=st.booleans(),
    fixed_origin=st.sampled_from(['local', 'edge']),
)
plain_forecasts = forecasts.map(
    lambda f: dataclasses.replace(f, operating_points=tuple(map(_plain, f.operating_points)))
)


def _plain(point: OperatingPoint) -> OperatingPoint:
    """Without times so short that no share of a server can be divided by them."""
    server_s = point.server_time_s
    return dataclasses.replace(point, server_time_s=server_s if server_s > 1e-12 else 0.0)


@pytest.mark.parametrize('name', POLICY_NAMES)
@given(st.lists(plain_forecasts, min_size=1, max_size=3), control_settings)
@settings(max_examples=60, deadline=None)
def test_any_decision_of_any_policy_is_explained(
    name: str, sequence: list[Forecast], asked_settings: ControlSettings
) -> None:
    policy, explainer = make_policy(name, asked_settings), Explainer()
    for asked in sequence:
        with np.errstate(all='ignore'):
            chosen = policy.decide(asked)
            policy.observe(ran(chosen))
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            told = explainer.explain(chosen, asked, asked_settings)
        assert repr(told) == repr(explain(chosen, asked, asked_settings))
        assert_sound(told, chosen, asked, asked_settings)


def assert_sound(
    told: Explanation, chosen: SlotDecision, asked: Forecast, asked_settings: ControlSettings
) -> None:
    """Numbers where numbers are known, bits as the usages say, and a runner-up that could be."""
    figures = {k: v for k, v in vars(told).items() if isinstance(v, float)}
    assert all(type(v) is float and not math.isinf(v) for v in figures.values())
    assert type(told.edge_usable) is bool
    assert math.isfinite(told.penalized_cost)
    assert math.isfinite(told.compute_usage)
    assert math.isnan(told.arrivals_usage) is (asked.arrival_fps == 0.0)
    assert math.isnan(told.accuracy_margin_map) is not (chosen.expected_processed_fps > 0.0)
    assert math.isnan(told.clock_usage) is not asked.device.can_set_clock
    assert told.edge_usable is (asked.edge_reachable and asked_settings.allow_edge)
    if not told.edge_usable:
        assert math.isnan(told.uplink_usage)
        assert math.isnan(told.server_usage)
    for limit, usage in (
        (Binding.ARRIVALS, told.arrivals_usage),
        (Binding.COMPUTE, told.compute_usage),
        (Binding.UPLINK, told.uplink_usage),
        (Binding.SERVER, told.server_usage),
        (Binding.CLOCK, told.clock_usage),
    ):
        assert bool(told.binding_constraints & limit) is (usage >= 0.99)
    if told.binding_constraints & Binding.ACCURACY:
        best_map = max(p.accuracy_map for p in asked.operating_points)
        target_map = min(asked_settings.accuracy_target_map, best_map)
        assert 0.99 * chosen.expected_map <= target_map
    if not told.runner_up:
        assert all(math.isnan(v) for k, v in figures.items() if k.startswith('runner_up'))
        return
    assert all(math.isfinite(v) for k, v in figures.items() if k.startswith('runner_up'))
    assert_possible(told, asked, asked_settings)
    if chosen.allocations:
        first, other = leading(chosen.allocations), leading(told.runner_up)
        assert first[:2] != other[:2] or (first[2] is Origin.LOCAL) is not (
            other[2] is Origin.LOCAL
        )


def leading(allocations: tuple[Allocation, ...]) -> tuple[str, int, Origin]:
    most = max(allocations, key=lambda a: a.rate_fps)
    return most.model, most.input_size_px, most.origin


def assert_possible(told: Explanation, asked: Forecast, asked_settings: ControlSettings) -> None:
    """The runner-up keeps all limits, and what is expected of it follows from it."""
    points = {(p.model, p.input_size_px): p for p in asked.operating_points}
    used = [(a, points[a.model, a.input_size_px]) for a in told.runner_up]
    local = [(a.rate_fps, p) for a, p in used if a.origin is Origin.LOCAL]
    edge = [(a.rate_fps, p) for a, p in used if a.origin is Origin.EDGE]
    rate_fps = sum(a.rate_fps for a in told.runner_up)
    clock_hz = told.runner_up_frequency_hz or asked.device.clock_levels_hz[0]
    busy = sum(rate * p.local_latency_s(clock_hz) for rate, p in local)
    bits = sum(rate * p.upload_bits for rate, p in edge)
    assert clock_hz in asked.device.clock_levels_hz
    assert rate_fps <= asked.arrival_fps * 1.000001 + 1e-6
    assert busy <= asked_settings.utilization_ceiling * 1.000001 + 1e-6
    if edge:
        assert told.edge_usable
        if not math.isnan(asked.capacity_bps):
            assert bits <= asked.capacity_bps * 1.000001 + 1.0
    power_w = asked.device.power_w(clock_hz, busy, bits)
    assert told.runner_up_power_w == pytest.approx(power_w)
    assert told.runner_up_processed_fps == pytest.approx(rate_fps)
    merit = sum(a.rate_fps * p.accuracy_map for a, p in used)
    assert told.runner_up_map == pytest.approx(merit / rate_fps)
    expected_cost = slot_cost(power_w, rate_fps, asked_settings, asked.device)
    assert told.runner_up_cost == pytest.approx(expected_cost)


FINE = dataclasses.replace(SETTINGS, min_rate_fps=0.0)
ROUNDING = 2e-3  # cost of rates rounded down to 1e-3 frames/s, at 5 frames/s and more
worlds = st.builds(
    forecast,
    arrival_fps=st.floats(5.0, 60.0),
    capacity_bps=st.floats(0.0, 1e7),
    server_share=st.sampled_from([0.02, 0.05, 1.0]),
    edge_reachable=st.booleans(),
)


def queued(cost: float, constraint: float, multiplier: float, step: float) -> float:
    """``phi + ([lambda + mu g]^+)^2 / (2 mu)``, by the numbers."""
    return cost + max(multiplier + step * constraint, 0.0) ** 2 / (2.0 * step)


def exact(asked: Forecast, multiplier: float) -> tuple[SlotDecision, float]:
    """The exact decision at a multiplier, and the step it was made with."""
    table = PointTable.build(asked.operating_points, asked.device)
    step = ExactPlanner().step(table, FINE)
    plans, value = exact_plans(
        SlotRows(),
        table,
        arrival_fps=asked.arrival_fps,
        capacities_bps=(asked.capacity_bps,) if asked.edge_reachable else (),
        server_share=asked.server_share,
        settings=FINE,
        multipliers=(multiplier, multiplier),
        step=step,
    )
    best = int(value.argmin())
    return compose(
        table,
        rounded(plans.local_fps[best], FINE),
        rounded(plans.edge_fps[best], FINE),
        int(plans.level[best]),
        slot=asked.slot,
        arrival_fps=asked.arrival_fps,
        settings=FINE,
        multiplier=multiplier,
    ), step


@given(worlds, st.floats(1e-4, 0.5))
@settings(max_examples=150, deadline=None)
def test_an_exact_decision_is_no_worse_than_its_runner_up(
    asked: Forecast, multiplier: float
) -> None:
    chosen, step = exact(asked, multiplier)
    told = explain(chosen, asked, FINE)
    if told.runner_up:
        constraint = chosen.expected_processed_fps * (0.5 - chosen.expected_map)
        its_constraint = told.runner_up_processed_fps * (0.5 - told.runner_up_map)
        mine = queued(chosen.expected_cost, constraint, multiplier, step)
        its = queued(told.runner_up_cost, its_constraint, multiplier, step)
        assert mine <= its + ROUNDING
        # The penalized cost is that but for how far the price moves in the slot.
        moved = 0.5 * step * max(constraint**2, its_constraint**2)
        assert told.penalized_cost <= told.runner_up_penalized_cost + moved + ROUNDING


@given(worlds, st.floats(1e-4, 0.5), st.data())
@settings(max_examples=100, deadline=None)
def test_no_decision_without_the_leading_configuration_is_better_than_the_runner_up(
    asked: Forecast, multiplier: float, data: st.DataObject
) -> None:
    chosen, step = exact(asked, multiplier)
    told = explain(chosen, asked, FINE)
    other = data.draw(possible(asked, chosen))
    if other.allocations and told.runner_up:
        costs = [
            queued(cost, processed_fps * (0.5 - map_), multiplier, step)
            for cost, processed_fps, map_ in (
                (told.runner_up_cost, told.runner_up_processed_fps, told.runner_up_map),
                (other.expected_cost, other.expected_processed_fps, other.expected_map),
            )
        ]
        assert costs[0] <= costs[1] + ROUNDING


@st.composite
def possible(draw: st.DrawFn, asked: Forecast, chosen: SlotDecision) -> SlotDecision:
    """A decision that keeps the limits, led by another configuration or place."""
    table = PointTable.build(asked.operating_points, asked.device)
    levels_hz = asked.device.clock_levels_hz
    level = draw(st.integers(levels_hz.index(chosen.gpu_frequency_hz), len(levels_hz) - 1))
    shares = draw(st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6).map(np.array))
    local, edge = asked.arrival_fps * shares[:3], asked.arrival_fps * shares[3:]
    most = leading(chosen.allocations) if chosen.allocations else None
    for k, point in enumerate(table.points):
        for rates, origin in ((local, Origin.LOCAL), (edge, Origin.EDGE)):
            if (point.model, point.input_size_px, origin) == most:
                rates[k] = 0.0
    blocked_s = FINE.max_blocked_arrivals / asked.arrival_fps
    if level < len(levels_hz) - 1:
        local = np.where(table.local_s[level] <= blocked_s, local, 0.0)
    local *= min(1.0, 0.8 / max(float(local @ table.local_s[level]), 1e-9))
    if asked.edge_reachable:
        bits, server_s = float(edge @ table.upload_bits), float(edge @ table.server_s)
        carried = (asked.capacity_bps / max(bits, 1.0), asked.server_share / max(server_s, 1e-9))
        edge *= min(1.0, *carried)
    else:
        edge *= 0.0
    scale = min(1.0, asked.arrival_fps / max(float(local.sum() + edge.sum()), 1e-9))
    return compose(
        table, rounded(scale * local, FINE), rounded(scale * edge, FINE), level,
        slot=0, arrival_fps=asked.arrival_fps, settings=FINE,
    )  # fmt: skip


@pytest.mark.parametrize('capacity_bps', [0.0, 1.5e6, 8e6])
def test_in_a_steady_world_the_default_policy_does_what_is_best_by_its_own_explanation(
    capacity_bps: float,
) -> None:
    world = forecast(capacity_bps=capacity_bps, edge_reachable=capacity_bps > 0.0)
    policy = make_policy('visionscaling_meta', SETTINGS)
    decisions = [chosen for chosen, _ in play(policy, 60, capacity_bps=capacity_bps)][20:]
    told = [explain(chosen, world, SETTINGS) for chosen in decisions]
    ahead = [t.runner_up_penalized_cost - t.penalized_cost for t in told]
    assert float(np.mean(ahead)) > 0.0
    assert min(ahead) > -0.1  # a learner that is followed may be expected to cost so much more
