"""Whatever is measured, every policy decides something that can be done."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import (
    POLICY_NAMES,
    ControlSettings,
    DeviceModel,
    Forecast,
    Forecaster,
    evaluate_slot,
    make_policy,
)
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotDecision, SlotState

DEVICE = DeviceModel((300e6, 700e6, 1300e6), 1.5, 3.0, 4.0, 0.5, 0.08)
DEVICES = st.sampled_from(
    [
        DEVICE,
        DeviceModel(),
        DeviceModel((), frequency_hz=math.nan),
        DeviceModel((math.nan, -1.0, 900e6), math.nan, math.inf, -1.0),
    ]
)
GOOD_POINTS = tuple(
    OperatingPoint(model, size, accuracy, 0.01, 0.002, 1e3 * size, 0.004)
    for model, accuracy in (('n', 0.3), ('s', 0.5))
    for size in (160, 320)
)
ODD = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-30, 1e30])


def figures(low: float, high: float) -> st.SearchStrategy[float]:
    """Mostly what makes sense, sometimes what does not."""
    return st.floats(low, high) | ODD


POINTS = st.just(GOOD_POINTS) | st.lists(
    st.builds(
        OperatingPoint,
        st.sampled_from('nsx'),
        st.sampled_from([0, 160, 320]),
        figures(0.0, 1.0),
        figures(0.0, 0.1),
        figures(0.0, 0.1),
        figures(0.0, 1e6),
        figures(0.0, 0.1),
    ),
    max_size=4,
).map(tuple)
ALLOCATIONS = st.lists(
    st.builds(
        Allocation,
        st.sampled_from('nsx'),
        st.sampled_from([160, 320]),
        st.sampled_from(Origin),
        figures(0.0, 60.0),
    ),
    max_size=4,
).map(tuple)
STATES = st.builds(
    SlotState,
    slot=st.just(1),
    duration_s=st.sampled_from([1.0, 3.0]) | ODD,
    arrival_fps=figures(0.0, 60.0),
    processed_local_fps=figures(0.0, 60.0),
    processed_edge_fps=figures(0.0, 60.0),
    dropped_fps=figures(0.0, 60.0),
    latency_local_mean_s=figures(0.0, 1.0),
    latency_local_p95_s=figures(0.0, 1.0),
    latency_edge_mean_s=figures(0.0, 1.0),
    latency_edge_p95_s=figures(0.0, 1.0),
    energy_j=figures(0.0, 50.0),
    power_w=figures(0.0, 50.0),
    gpu_frequency_hz=figures(3e8, 1.3e9),
    gpu_utilization=figures(0.0, 1.0),
    gpu_temperature_c=figures(20.0, 100.0),
    uplink_throughput_bps=figures(0.0, 1e8),
    uplink_capacity_bps=figures(0.0, 1e8),
    uplink_capacity_age_s=figures(0.0, 20.0),
    rtt_s=figures(0.0, 1.0),
    server_queue_s=figures(0.0, 1.0),
    server_share=figures(0.0, 1.0),
    edge_reachable=st.booleans(),
    achieved_map=figures(0.0, 1.0),
    processed=ALLOCATIONS,
    operating_points=POINTS,
)
SETTINGS = st.builds(
    ControlSettings,
    accuracy_target_map=st.sampled_from([0.0, 0.4, 0.99]),
    allow_edge=st.booleans(),
    allowed_models=st.sampled_from([(), ('n',), ('none',)]),
    capacity_quantile=st.sampled_from([0.01, 0.25, 0.99]),
    min_processed_fps=st.sampled_from([0.0, 20.0]),
    weight_energy=st.sampled_from([0.0, 1.0]),
    weight_rate=st.sampled_from([0.0, 20.0]),
)


def check(decision: SlotDecision, forecast: Forecast, name: str) -> None:
    offered = {(p.model, p.input_size_px) for p in forecast.operating_points}
    for allocation in decision.allocations:
        assert (allocation.model, allocation.input_size_px) in offered
        assert 0.0 < allocation.rate_fps < math.inf
        if name != 'fixed':  # which asks for what it is told; the bridge gives it back
            assert allocation.origin is Origin.LOCAL or forecast.edge_reachable
    total_fps = sum(a.rate_fps for a in decision.allocations)
    assert total_fps <= forecast.arrival_fps * (1.0 + 1e-6) + 1e-9
    assert decision.gpu_frequency_hz in (0.0, *forecast.device.available_frequencies_hz)
    assert 0.0 <= decision.tx_rate_bps < math.inf
    assert decision.slot == forecast.slot
    assert decision.policy == name
    assert math.isfinite(decision.arrival_fps)
    assert math.isfinite(decision.multiplier)


def check_forecast(forecast: Forecast) -> None:
    assert 0.0 < forecast.arrival_fps < math.inf
    assert 0.0 <= forecast.capacity_bps < math.inf
    assert 0.0 <= forecast.server_share <= 1.0
    assert 0.0 <= forecast.exploration_fps < math.inf
    assert list(forecast.capacity_quantiles_bps) == sorted(forecast.capacity_quantiles_bps)
    assert all(0.0 <= c < math.inf for c in forecast.capacity_quantiles_bps)


def play(name: str, chosen: ControlSettings, slots: list[tuple[SlotState, DeviceModel]]) -> None:
    """The controller's loop over given slots, each checked."""
    policy, forecaster = make_policy(name, chosen), Forecaster(chosen)
    decision = None
    for slot, (state, device) in enumerate(slots):
        evaluate_slot(state, chosen, device)
        forecaster.observe(state, decision)
        forecast = forecaster.forecast(slot, device)
        check_forecast(forecast)
        forecaster.beliefs()
        policy.observe(state)
        decision = policy.decide(forecast)
        check(decision, forecast, name)


@pytest.mark.parametrize('name', POLICY_NAMES)
@settings(deadline=None, max_examples=40)
@given(SETTINGS, st.lists(st.tuples(STATES, DEVICES), min_size=1, max_size=6))
def test_any_slots_give_a_defined_decision(
    name: str, chosen: ControlSettings, slots: list[tuple[SlotState, DeviceModel]]
) -> None:
    play(name, chosen, slots)


USUAL = SlotState(
    slot=1,
    duration_s=1.0,
    arrival_fps=15.0,
    processed_local_fps=10.0,
    processed_edge_fps=5.0,
    power_w=12.0,
    energy_j=12.0,
    gpu_frequency_hz=700e6,
    gpu_utilization=0.2,
    gpu_temperature_c=60.0,
    uplink_throughput_bps=8e5,
    uplink_capacity_bps=2e6,
    uplink_capacity_age_s=0.0,
    server_share=1.0,
    edge_reachable=True,
    processed=(
        Allocation('s', 320, Origin.LOCAL, 10.0),
        Allocation('s', 160, Origin.EDGE, 5.0),
    ),
    operating_points=GOOD_POINTS,
)
FREAKS: dict[str, dict[str, Any]] = {
    'nothing offered': {'operating_points': ()},
    'zero uplink': {'uplink_capacity_bps': 0.0},
    'zero arrivals': {'arrival_fps': 0.0, 'processed': (), 'processed_local_fps': 0.0},
    'three times as long': {'duration_s': 3.0, 'energy_j': 36.0},
    'nothing measured': {
        field.name: math.nan for field in dataclasses.fields(SlotState) if field.type == 'float'
    },
    'all negative': {
        field.name: -1.0 for field in dataclasses.fields(SlotState) if field.type == 'float'
    },
}


@pytest.mark.parametrize('freak', FREAKS)
@pytest.mark.parametrize('name', POLICY_NAMES)
def test_after_a_freak_slot_it_goes_on_as_before(name: str, freak: str) -> None:
    """One freak among usual slots, then as many usual ones: frames are processed again."""
    chosen = ControlSettings(accuracy_target_map=0.4)
    policy, forecaster = make_policy(name, chosen), Forecaster(chosen)
    odd = dataclasses.replace(USUAL, **FREAKS[freak])
    for slot, state in enumerate([USUAL] * 5 + [odd] + [USUAL] * 5):
        forecaster.observe(state)
        forecast = forecaster.forecast(slot, DEVICE)
        check_forecast(forecast)
        policy.observe(state)
        decision = policy.decide(forecast)
        check(decision, forecast, name)
    assert forecast.arrival_fps == pytest.approx(15.0, abs=1.0)
    assert forecast.capacity_bps == pytest.approx(2e6, rel=0.3)
    assert decision.allocations


@pytest.mark.parametrize('name', POLICY_NAMES)
def test_an_infeasible_target_is_best_effort_and_said(name: str) -> None:
    chosen = ControlSettings(accuracy_target_map=0.9)
    policy, forecaster = make_policy(name, chosen), Forecaster(chosen)
    for slot in range(30):
        forecaster.observe(USUAL)
        forecast = forecaster.forecast(slot, DEVICE)
        policy.observe(USUAL)
        decision = policy.decide(forecast)
        check(decision, forecast, name)
    assert not forecaster.beliefs().target_feasible
    assert decision.allocations
