"""What every policy must do, whatever it is asked; and what each does differently."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import (
    POLICY_NAMES,
    ControlSettings,
    DeviceModel,
    Forecast,
    Policy,
    make_policy,
)
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotDecision, SlotState
from visionscaling_ros.errors import InvalidValueError

SETTINGS = ControlSettings(accuracy_target_map=0.5)
DEVICE = DeviceModel((3e8, 6e8, 9e8, 1.3e9), 1.5, 3.2, 4.0, 0.54, 0.08)
SMALL = OperatingPoint('n', 160, 0.35, 0.006, 0.001, 60e3, 0.001)
MIDDLE = OperatingPoint('s', 320, 0.50, 0.018, 0.002, 150e3, 0.004)
LARGE = OperatingPoint('m', 416, 0.64, 0.050, 0.004, 250e3, 0.010)
FORECAST = Forecast(1, 1.0, 15.0, 4e6, 1.0, True, (LARGE, SMALL, MIDDLE), DEVICE)


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


@pytest.fixture(params=POLICY_NAMES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return make_policy(request.param, SETTINGS)


positive = st.floats(1e-4, 0.2)
operating_points = st.builds(
    OperatingPoint,
    model=st.sampled_from(['n', 's', 'm']),
    input_size_px=st.integers(64, 640),
    accuracy_map=st.floats(0.0, 1.0),
    gpu_work_ghz_s=positive,
    serial_s=st.floats(0.0, 0.05),
    upload_bits=st.floats(0.0, 1e6),
    server_time_s=st.floats(0.0, 0.1),
)
devices = st.builds(
    DeviceModel,
    available_frequencies_hz=st.lists(st.floats(1e8, 2e9), max_size=4).map(tuple),
    alpha_w_per_ghz3=st.floats(0.0, 5.0),
    beta_w=st.floats(0.0, 5.0),
    base_w=st.floats(0.0, 5.0),
    radio_fixed_w=st.floats(0.0, 3.0),
    radio_w_per_mbps=st.floats(0.0, 0.5),
)
forecasts = st.builds(
    Forecast,
    slot=st.integers(0, 10**6),
    slot_s=st.just(1.0),
    arrival_fps=st.one_of(st.just(0.0), st.floats(0.01, 200.0)),
    capacity_bps=st.one_of(st.just(math.nan), st.just(0.0), st.floats(0.0, 1e8)),
    server_share=st.one_of(st.just(math.nan), st.floats(0.0, 1.0)),
    edge_reachable=st.booleans(),
    operating_points=st.lists(
        operating_points, max_size=6, unique_by=lambda p: (p.model, p.input_size_px)
    ).map(tuple),
    device=devices,
    exploration_fps=st.sampled_from([0.0, 1.0]),
)
measured = st.floats(allow_nan=True, allow_infinity=True, width=32)


@pytest.mark.parametrize('name', POLICY_NAMES)
@given(st.lists(forecasts, min_size=1, max_size=4), measured, measured)
@settings(max_examples=100, deadline=None)
def test_any_forecast_gives_a_decision_that_fits_it(
    name: str, sequence: list[Forecast], arrival_fps: float, rate_fps: float
) -> None:
    policy = make_policy(name, SETTINGS)
    for asked in sequence:
        decision = policy.decide(asked)
        assert_sound(decision, asked, fits=name != 'fixed')
        odd = tuple(dataclasses.replace(a, rate_fps=rate_fps) for a in decision.allocations)
        policy.observe(ran(decision, arrival_fps=arrival_fps, processed=odd))
        policy.observe(ran(decision))


def assert_sound(decision: SlotDecision, asked: Forecast, *, fits: bool) -> None:
    assert decision.slot == asked.slot
    assert decision.arrival_fps == asked.arrival_fps
    assert math.isfinite(decision.multiplier)
    assert decision.multiplier >= 0.0
    levels_hz = asked.device.available_frequencies_hz or (0.0,)
    assert decision.gpu_frequency_hz in levels_hz
    assert math.isfinite(decision.tx_rate_bps)
    assert math.isfinite(decision.expected_power_w)
    assert math.isfinite(decision.expected_cost)
    points = {(p.model, p.input_size_px): p for p in asked.operating_points}
    keys = [(a.model, a.input_size_px, a.origin) for a in decision.allocations]
    assert len(set(keys)) == len(keys)
    assert all(math.isfinite(a.rate_fps) and a.rate_fps > 0.0 for a in decision.allocations)
    assert sum(a.rate_fps for a in decision.allocations) <= asked.arrival_fps * 1.000001 + 1e-6
    if not fits:
        return
    clock_hz = decision.gpu_frequency_hz or asked.device.clock_levels_hz[0]
    used = [(a, points[a.model, a.input_size_px]) for a in decision.allocations]
    local = [(a.rate_fps, p) for a, p in used if a.origin is Origin.LOCAL]
    edge = [(a.rate_fps, p) for a, p in used if a.origin is Origin.EDGE]
    busy = sum(rate * p.local_latency_s(clock_hz) for rate, p in local)
    assert busy <= SETTINGS.utilization_ceiling * 1.000001 + 1e-6
    if edge:
        assert asked.edge_reachable
        bits = sum(rate * p.upload_bits for rate, p in edge)
        if not math.isnan(asked.capacity_bps):
            assert bits <= asked.capacity_bps * 1.000001 + 1.0
        assert decision.tx_rate_bps >= bits
        slowest_s = max(p.upload_bits for _, p in edge) / decision.tx_rate_bps
        assert slowest_s <= SETTINGS.tx_max_frame_s * 1.000001


def test_signs_its_decisions(policy: Policy) -> None:
    assert policy.decide(FORECAST).policy == policy.name
    assert policy.name in POLICY_NAMES


def test_decides_the_same_when_asked_the_same(policy: Policy) -> None:
    other = make_policy(policy.name, SETTINGS)
    for slot in range(5):
        mine, theirs = (p.decide(forecast(slot=slot)) for p in (policy, other))
        assert repr(mine) == repr(theirs)  # NaN equals NaN in writing
        policy.observe(ran(mine))
        other.observe(ran(theirs))


def test_settings_may_change_between_slots(policy: Policy) -> None:
    policy.observe(ran(policy.decide(FORECAST)))
    policy.settings = ControlSettings(accuracy_target_map=0.6, weight_rate=0.0)
    assert_sound(policy.decide(FORECAST), FORECAST, fits=policy.name != 'fixed')


def test_nothing_to_run_gives_no_allocations(policy: Policy) -> None:
    assert policy.decide(forecast(operating_points=())).allocations == ()


def test_figures_that_make_no_sense_are_not_used(policy: Policy) -> None:
    broken = (
        dataclasses.replace(LARGE, accuracy_map=math.nan),
        dataclasses.replace(MIDDLE, gpu_work_ghz_s=-1.0),
        dataclasses.replace(MIDDLE, gpu_work_ghz_s=0.0, serial_s=0.0),
        SMALL,
    )
    decision = policy.decide(forecast(operating_points=broken))
    assert {a.model for a in decision.allocations} == {'n'}


def test_unknown_policy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidValueError, match='visionscaling, fixed, local_only'):
        make_policy('magic', SETTINGS)


# fixed


def test_fixed_is_the_largest_model_at_full_clock_on_the_robot() -> None:
    decision = make_policy('fixed', SETTINGS).decide(FORECAST)
    assert decision.allocations == (Allocation('m', 416, Origin.LOCAL, 15.0),)
    assert decision.gpu_frequency_hz == 1.3e9
    assert decision.expected_processed_fps == pytest.approx(15.0)


def test_fixed_expects_no_more_than_it_can_carry() -> None:
    decision = make_policy('fixed', SETTINGS).decide(forecast(arrival_fps=60.0))
    assert sum(a.rate_fps for a in decision.allocations) == 60.0
    assert decision.expected_processed_fps == pytest.approx(1.0 / LARGE.local_latency_s(1.3e9))


def test_fixed_as_told() -> None:
    told = ControlSettings(
        fixed_model='s', fixed_input_size_px=320, fixed_origin='edge', fixed_frequency_hz=5.5e8
    )
    decision = make_policy('fixed', told).decide(FORECAST)
    assert decision.allocations == (Allocation('s', 320, Origin.EDGE, 15.0),)
    assert decision.gpu_frequency_hz == 6e8
    assert decision.expected_processed_fps == pytest.approx(15.0)


def test_fixed_with_a_model_this_robot_lacks_falls_back_to_the_rule() -> None:
    decision = make_policy('fixed', ControlSettings(fixed_model='xl')).decide(FORECAST)
    assert decision.allocations[0].model == 'm'


# saddle point


def test_cold_start_meets_the_target_at_once() -> None:
    decision = make_policy('visionscaling', SETTINGS).decide(FORECAST)
    assert decision.expected_map >= SETTINGS.accuracy_target_map
    assert decision.expected_processed_fps == pytest.approx(15.0, abs=0.01)


def test_local_only_never_offloads() -> None:
    policy = make_policy('local_only', SETTINGS)
    for slot in range(20):
        decision = policy.decide(forecast(slot=slot, exploration_fps=1.0))
        assert all(a.origin is Origin.LOCAL for a in decision.allocations)
        policy.observe(ran(decision))


def test_unknown_capacity_is_explored() -> None:
    asked = forecast(capacity_bps=250e3, exploration_fps=1.0)
    decision = make_policy('visionscaling', SETTINGS).decide(asked)
    edge_fps = sum(a.rate_fps for a in decision.allocations if a.origin is Origin.EDGE)
    assert edge_fps == pytest.approx(1.0, abs=0.01)


def test_clock_is_the_lowest_that_keeps_up() -> None:
    policy = make_policy('local_only', SETTINGS)
    for slot in range(30):
        decision = policy.decide(forecast(slot=slot))
        policy.observe(ran(decision))
        points = {p.model: p for p in FORECAST.operating_points}
        for level_hz in DEVICE.clock_levels_hz:
            if level_hz < decision.gpu_frequency_hz:
                latencies_s = [
                    (a.rate_fps, points[a.model].local_latency_s(level_hz))
                    for a in decision.allocations
                ]
                too_busy = sum(r * s for r, s in latencies_s) > SETTINGS.utilization_ceiling
                blocks = max(s for _, s in latencies_s) > SETTINGS.max_blocked_arrivals / 15.0
                assert too_busy or blocks


def test_a_target_nobody_reaches_still_processes_frames() -> None:
    policy = make_policy('local_only', ControlSettings(accuracy_target_map=0.99))
    decision = policy.decide(FORECAST)
    for slot in range(40):
        policy.observe(ran(decision))
        decision = policy.decide(forecast(slot=slot))
    assert decision.expected_map == pytest.approx(LARGE.accuracy_map, abs=0.02)
    assert decision.expected_processed_fps > 12.0


def test_new_configurations_are_taken_up_without_forgetting_the_multiplier() -> None:
    asked = ControlSettings(accuracy_target_map=0.6)
    twins = [make_policy('local_only', asked) for _ in range(2)]
    few = (SMALL, LARGE)
    for policy in twins:
        for slot in range(10):
            decision = policy.decide(forecast(slot=slot, operating_points=few))
            policy.observe(ran(decision, operating_points=few))
    same, changed = twins[0].decide(forecast(operating_points=few)), twins[1].decide(FORECAST)
    assert changed.multiplier == pytest.approx(same.multiplier)
    assert changed.multiplier > 0.0
    assert changed.expected_processed_fps > 12.0


def test_an_empty_slot_teaches_nothing() -> None:
    policy = make_policy('visionscaling', SETTINGS)
    first = policy.decide(FORECAST)
    policy.observe(ran(first, arrival_fps=0.0, processed=(), processed_local_fps=0.0))
    assert policy.decide(FORECAST).multiplier == first.multiplier


def test_a_slot_in_which_all_failed_starts_again_from_the_safe_side() -> None:
    policy = make_policy('visionscaling', SETTINGS)
    for slot in range(10):
        policy.observe(ran(policy.decide(forecast(slot=slot))))
    failed = ran(policy.decide(FORECAST), processed=(), processed_local_fps=0.0)
    policy.observe(dataclasses.replace(failed, processed_edge_fps=0.0))
    assert policy.decide(FORECAST).expected_map >= SETTINGS.accuracy_target_map


def test_falling_short_of_the_least_rate_is_made_up_for() -> None:
    lazy = ControlSettings(accuracy_target_map=0.3, weight_rate=0.002, weight_energy=1.0)
    strict = dataclasses.replace(lazy, min_processed_fps=10.0)
    processed = {}
    for asked in (lazy, strict):
        policy = make_policy('local_only', asked)
        for slot in range(60):
            decision = policy.decide(forecast(slot=slot))
            policy.observe(ran(decision))
        processed[asked.min_processed_fps] = decision.expected_processed_fps
    assert processed[0.0] < 6.0
    assert processed[10.0] > 8.0
