"""What every policy must do, whatever it is asked."""

from __future__ import annotations

import dataclasses
import math

import pytest
from control_examples import FORECAST, LARGE, MIDDLE, SETTINGS, SMALL, forecast, ran
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
from visionscaling_ros.control.evaluation import slot_cost
from visionscaling_ros.datatypes import OperatingPoint, Origin, SlotDecision
from visionscaling_ros.errors import InvalidValueError

# Hand over all that arrives, and leave it to the dispatcher to drop what the robot cannot do.
GREEDY = ('fixed', 'governor', 'local_only', 'dms', 'autoscale', 'cutedge')
RIVALS = (*GREEDY, 'edge_only')


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
        assert_sound(decision, asked, fits=name not in GREEDY)
        odd = tuple(dataclasses.replace(a, rate_fps=rate_fps) for a in decision.allocations)
        policy.observe(ran(decision, arrival_fps=arrival_fps, processed=odd))
        policy.observe(ran(decision))


def assert_sound(
    decision: SlotDecision,
    asked: Forecast,
    *,
    fits: bool,
    asked_settings: ControlSettings = SETTINGS,
) -> None:
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
    assert 0.0 <= decision.expected_processed_fps <= asked.arrival_fps * 1.000001 + 1e-6
    expected = decision.expected_power_w, decision.expected_processed_fps
    cost = slot_cost(*expected, asked_settings, asked.device)
    assert decision.expected_cost == pytest.approx(cost)
    if any(a.origin is Origin.EDGE for a in decision.allocations):
        assert asked.edge_reachable
    if not fits:
        return
    clock_hz = decision.gpu_frequency_hz or asked.device.clock_levels_hz[0]
    used = [(a, points[a.model, a.input_size_px]) for a in decision.allocations]
    local = [(a.rate_fps, p) for a, p in used if a.origin is Origin.LOCAL]
    edge = [(a.rate_fps, p) for a, p in used if a.origin is Origin.EDGE]
    busy = sum(rate * p.local_latency_s(clock_hz) for rate, p in local)
    assert busy <= SETTINGS.utilization_ceiling * 1.000001 + 1e-6
    if edge:
        bits = sum(rate * p.upload_bits for rate, p in edge)
        # The meta policy goes back on the air with what the uplink last carried.
        if decision.policy != 'visionscaling_meta' and not math.isnan(asked.capacity_bps):
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
    policy.settings = changed = ControlSettings(accuracy_target_map=0.6, weight_rate=0.0)
    decision = policy.decide(FORECAST)
    assert_sound(
        decision, FORECAST, fits=policy.name not in GREEDY, asked_settings=changed
    )


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


@pytest.mark.parametrize('arrival_fps', [math.nan, math.inf, -1.0, 0.0])
@pytest.mark.parametrize('name', RIVALS)
def test_arrivals_that_make_no_sense_count_as_none(name: str, arrival_fps: float) -> None:
    decision = make_policy(name, SETTINGS).decide(forecast(arrival_fps=arrival_fps))
    assert decision.allocations == ()
    assert decision.arrival_fps == 0.0
    assert math.isfinite(decision.expected_cost)


@pytest.mark.parametrize('exploration_fps', [0.0, 1.0])
def test_nothing_is_sent_where_the_edge_must_not_be_used(
    policy: Policy, exploration_fps: float
) -> None:
    policy.settings = dataclasses.replace(SETTINGS, allow_edge=False, fixed_origin='edge')
    # As the forecaster would put it, and the settings alone.
    for reachable in (False, True) if policy.name in RIVALS else (False,):
        asked = forecast(edge_reachable=reachable, exploration_fps=exploration_fps)
        for slot in range(20):
            decision = policy.decide(dataclasses.replace(asked, slot=slot))
            assert all(a.origin is Origin.LOCAL for a in decision.allocations)
            policy.observe(ran(decision))


@pytest.mark.parametrize('name', RIVALS)
def test_only_models_allowed_are_used(name: str) -> None:
    policy = make_policy(name, dataclasses.replace(SETTINGS, allowed_models=('s',)))
    for slot in range(20):
        decision = policy.decide(forecast(slot=slot))
        assert {a.model for a in decision.allocations} == {'s'}
        policy.observe(ran(decision))


@pytest.mark.parametrize('name', RIVALS)
def test_a_target_nobody_reaches_is_missed_by_the_most_accurate(name: str) -> None:
    policy = make_policy(name, dataclasses.replace(SETTINGS, accuracy_target_map=0.99))
    for slot in range(20):
        decision = policy.decide(forecast(slot=slot))
        assert {a.model for a in decision.allocations} == {'m'}
        assert decision.expected_map == pytest.approx(LARGE.accuracy_map)
        policy.observe(ran(decision))


@pytest.mark.parametrize('name', RIVALS)
@given(
    st.floats(1.0, 60.0),
    st.lists(operating_points, max_size=6, unique_by=lambda p: (p.model, p.input_size_px)),
    st.floats(0.0, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_every_configuration_used_meets_the_target_if_any_does(
    name: str, arrival_fps: float, points: list[OperatingPoint], target_map: float
) -> None:
    policy = make_policy(name, dataclasses.replace(SETTINGS, accuracy_target_map=target_map))
    least_map = min(target_map, max((p.accuracy_map for p in points), default=0.0))
    accuracy_map = {(p.model, p.input_size_px): p.accuracy_map for p in points}
    asked = forecast(arrival_fps=arrival_fps, operating_points=tuple(points))
    for slot in range(5):
        decision = policy.decide(dataclasses.replace(asked, slot=slot))
        for used in decision.allocations:
            assert accuracy_map[used.model, used.input_size_px] >= least_map
        policy.observe(ran(decision, operating_points=asked.operating_points))


def test_unknown_policy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidValueError, match=', '.join(POLICY_NAMES)):
        make_policy('magic', SETTINGS)
