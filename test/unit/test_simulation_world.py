"""The physics of a slot: nothing is lost, nothing is free, more is never worse."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings, evaluate_slot
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.drops import DropCounter
from visionscaling_ros.simulation.latency_book import MOST_QUEUED, RTT_S
from visionscaling_ros.simulation.profile import load_profile
from visionscaling_ros.simulation.radio import Radio
from visionscaling_ros.simulation.scenarios import make_conditions
from visionscaling_ros.simulation.thermal import Thermal, ThermalState
from visionscaling_ros.simulation.world import REACHABLE_BPS, World

PROFILE = load_profile('agx_orin')
DEVICE = PROFILE.device
TOP_HZ = DEVICE.clock_levels_hz[-1]
SETTINGS = ControlSettings(accuracy_target_map=PROFILE.accuracy_target_map)
POINTS = {(p.model, p.input_size_px): p for p in PROFILE.points}
NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.0, 60.0))


def world_of(slots=4, *, profile=PROFILE, settings=SETTINGS, slot_s=1.0, bias=1.0, **series):
    usual = {'arrival_fps': 20.0, 'capacity_bps': 4e6, 'server_share': 1.0, 'latency_factor': 1.0,
             'ambient_c': 25.0}  # fmt: skip
    conditions = Conditions(
        trace='made', scenario='made', seed=0, slot_s=slot_s,
        point_latency_bias=np.full(len(profile.points), bias), power_bias=1.05,
        **{name: np.resize(np.asarray(series.get(name, value), float), slots)
           for name, value in usual.items()},
    )  # fmt: skip
    return World(conditions, profile, settings)


def decision_of(*allocations, clock_hz=TOP_HZ, arrival_fps=20.0, tx_rate_bps=0.0):
    return SlotDecision(
        slot=0, allocations=allocations, gpu_frequency_hz=clock_hz, tx_rate_bps=tx_rate_bps,
        arrival_fps=arrival_fps, policy='made',
    )  # fmt: skip


def local(rate_fps, model='yolov8n', size_px=480):
    return Allocation(model, size_px, Origin.LOCAL, rate_fps)


def edge(rate_fps, model='yolov8n', size_px=480):
    return Allocation(model, size_px, Origin.EDGE, rate_fps)


def processed_fps(state):
    return state.processed_local_fps + state.processed_edge_fps


allocations = st.builds(
    Allocation,
    model=st.sampled_from(['yolov8n', 'yolov8s', 'yolov8l', 'unknown']),
    input_size_px=st.sampled_from([320, 480, 960, 0]),
    origin=st.sampled_from(list(Origin)),
    rate_fps=NUMBERS,
)
decisions = st.builds(
    lambda chosen, clock_hz, arrival_fps, tx_rate_bps: decision_of(
        *chosen, clock_hz=clock_hz, arrival_fps=arrival_fps, tx_rate_bps=tx_rate_bps
    ),
    st.lists(allocations, max_size=5),
    st.one_of(NUMBERS, st.floats(0.0, 2e9)),
    NUMBERS,
    st.one_of(NUMBERS, st.floats(0.0, 1e7)),
)
circumstances = st.fixed_dictionaries({
    'arrival_fps': st.one_of(st.just(0.0), st.floats(1e-9, 60.0)),
    'capacity_bps': st.one_of(st.just(0.0), st.floats(0.0, 3e7)),
    'server_share': st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
    'latency_factor': st.floats(0.5, 2.0),
})


TINY = Allocation(model='yolov8n', input_size_px=320, origin=Origin.LOCAL, rate_fps=2e-313)
USUAL = {'arrival_fps': 1.0, 'capacity_bps': 0.0, 'server_share': 0.0, 'latency_factor': 1.0}


@given(st.lists(decisions, min_size=1, max_size=3), circumstances, st.floats(0.1, 3.0))
@example([decision_of(TINY, clock_hz=0.0, arrival_fps=0.0, tx_rate_bps=0.0)], USUAL, 1.0)
def test_whatever_is_decided_nothing_is_lost_and_nothing_is_free(chosen, series, slot_s):
    world = world_of(len(chosen), slot_s=slot_s, bias=0.9, **series)
    tail_w = DEVICE.radio_fixed_w
    for slot, decision in enumerate(chosen):
        state = world.step(decision, slot)
        arrived_fps = series['arrival_fps']
        assert state.arrival_fps == arrived_fps
        fates = (state.processed_local_fps, state.processed_edge_fps, state.dropped_fps)
        assert all(rate >= 0.0 for rate in fates)
        assert sum(fates) == pytest.approx(arrived_fps, abs=1e-9)

        ran = {origin: [a for a in state.processed if a.origin is origin] for origin in Origin}
        assert not ran[Origin.SPLIT]
        assert all(0.0 < a.rate_fps < math.inf for a in state.processed)
        for origin, rate_fps in ((Origin.LOCAL, fates[0]), (Origin.EDGE, fates[1])):
            assert sum(a.rate_fps for a in ran[origin]) == pytest.approx(rate_fps, abs=1e-12)

        points = [(POINTS[a.model, a.input_size_px], a.rate_fps) for a in ran[Origin.LOCAL]]
        time_factor = 0.9 * series['latency_factor']
        busy = sum(r * p.local_latency_s(state.gpu_frequency_hz) for p, r in points) * time_factor
        assert state.gpu_utilization == pytest.approx(busy, abs=1e-9)
        assert 0.0 <= state.gpu_utilization <= 1.0

        points = [(POINTS[a.model, a.input_size_px], a.rate_fps) for a in ran[Origin.EDGE]]
        sent_bps = sum(p.upload_bits * r for p, r in points)
        assert state.uplink_throughput_bps == pytest.approx(sent_bps, abs=1e-6)
        assert sent_bps <= series['capacity_bps'] * (1.0 + 1e-9)
        if decision.tx_rate_bps > 0.0:
            assert sent_bps <= decision.tx_rate_bps * (1.0 + 1e-9)
        assert sum(p.server_time_s * r for p, r in points) <= series['server_share'] + 1e-9

        assert state.gpu_frequency_hz in DEVICE.clock_levels_hz
        dynamic_w = 1.05 * DEVICE.gpu_dynamic_power_w(state.gpu_frequency_hz)
        radio_w = state.power_w - DEVICE.base_w - DEVICE.beta_w - busy * dynamic_w
        slope_w = DEVICE.radio_w_per_mbps * sent_bps * 1e-6
        assert slope_w - 1e-9 <= radio_w <= tail_w + slope_w + 1e-9
        if sent_bps > 0.0:
            assert radio_w == pytest.approx(tail_w + slope_w)
        assert state.energy_j == pytest.approx(state.power_w * slot_s)
        for latency_s in (state.latency_local_mean_s, state.latency_edge_mean_s):
            assert math.isnan(latency_s) or latency_s > 0.0
        assert math.isnan(state.latency_local_mean_s) == (not ran[Origin.LOCAL])
        assert math.isnan(state.latency_edge_mean_s) == (not ran[Origin.EDGE])
        assert state.operating_points is PROFILE.points


@given(decisions, circumstances)
def test_a_slot_is_scored_as_the_controller_scores_it(decision, series):
    world = world_of(2, **series)
    states = [world.step(decision, slot) for slot in range(2)]
    fit = 0.0
    for state in states:
        score = evaluate_slot(state, SETTINGS, DEVICE)
        assert state.cost == pytest.approx(score.cost, rel=1e-12)
        assert state.constraint == pytest.approx(score.constraint, abs=1e-9)
        assert state.achieved_map == pytest.approx(score.table_map, nan_ok=True)
        fit += score.constraint
        assert state.cumulative_fit == pytest.approx(max(fit, 0.0), abs=1e-9)


sane_decisions = st.builds(
    lambda chosen, clock_hz: decision_of(*chosen, clock_hz=clock_hz),
    st.lists(
        st.builds(
            Allocation,
            model=st.sampled_from(['yolov8n', 'yolov8s', 'yolov8l']),
            input_size_px=st.sampled_from([480, 640]),
            origin=st.sampled_from([Origin.LOCAL, Origin.EDGE]),
            rate_fps=st.floats(0.1, 20.0),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(DEVICE.clock_levels_hz),
)


@pytest.mark.parametrize(
    ('name', 'low', 'high'),
    [('capacity_bps', 0.0, 2e7), ('server_share', 0.0, 1.0), ('latency_factor', 2.0, 0.5)],
)
@given(sane_decisions, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_better_world_never_processes_less(name, low, high, decision, one, other):
    worse, better = (low + (high - low) * part for part in sorted((one, other)))
    results = [
        world_of(1, **{'arrival_fps': 40.0, name: value}).step(decision, 0)
        for value in (worse, better)
    ]
    assert processed_fps(results[0]) <= processed_fps(results[1]) + 1e-9
    assert results[0].dropped_fps >= results[1].dropped_fps - 1e-9
    assert results[0].processed_edge_fps <= results[1].processed_edge_fps + 1e-9


@given(sane_decisions, st.sampled_from(DEVICE.clock_levels_hz))
def test_a_higher_clock_never_processes_less_and_is_never_busier(decision, clock_hz):
    clocks_hz = sorted((decision.gpu_frequency_hz, clock_hz))
    slow, fast = (
        world_of(1).step(dataclasses.replace(decision, gpu_frequency_hz=hz), 0)
        for hz in clocks_hz
    )
    assert processed_fps(slow) <= processed_fps(fast) + 1e-9
    if processed_fps(slow) == pytest.approx(processed_fps(fast)):
        assert slow.gpu_utilization >= fast.gpu_utilization - 1e-9


@given(sane_decisions)
def test_more_arrivals_are_shared_out_alike(decision):
    few, many = (world_of(1, arrival_fps=a, capacity_bps=1e9).step(decision, 0) for a in (1.0, 2.0))
    if many.gpu_utilization < 1.0 and few.server_share == many.server_share:
        for one, two in zip(few.processed, many.processed, strict=True):
            assert two.rate_fps == pytest.approx(2.0 * one.rate_fps)


def test_allocations_are_shares_of_what_arrives():
    state = world_of(1, arrival_fps=10.0).step(decision_of(local(6.0), arrival_fps=20.0), 0)
    assert state.processed_local_fps == pytest.approx(3.0)
    assert state.drop_counts == {'not_scheduled': 7}


def test_more_than_arrives_is_scaled_down():
    chosen = decision_of(local(10.0), edge(30.0), arrival_fps=20.0)
    state = world_of(1, arrival_fps=4.0).step(chosen, 0)
    assert state.processed_local_fps == pytest.approx(1.0)
    assert state.processed_edge_fps == pytest.approx(3.0)


def test_local_frames_beyond_a_busy_share_of_1_give_way_to_newer_ones():
    point = POINTS['yolov8l', 960]
    state = world_of(1).step(decision_of(local(20.0, 'yolov8l', 960)), 0)
    carried_fps = 1.0 / point.local_latency_s(TOP_HZ)
    assert state.gpu_utilization == pytest.approx(1.0)
    assert state.processed_local_fps == pytest.approx(carried_fps)
    assert state.drop_counts == {'superseded': int(20.0 - carried_fps)}


def test_what_the_uplink_cannot_carry_is_run_locally_while_there_is_time():
    point = POINTS['yolov8n', 480]
    world = world_of(2, capacity_bps=5 * point.upload_bits)
    spare_fps = 1.0 / point.local_latency_s(TOP_HZ)
    state = world.step(decision_of(edge(20.0)), 0)
    assert state.processed_edge_fps == pytest.approx(5.0)
    assert state.processed_local_fps == pytest.approx(15.0)
    assert state.gpu_utilization == pytest.approx(15.0 / spare_fps)
    state = world.step(decision_of(local(10.0), edge(10.0), arrival_fps=20.0), 1)
    assert (state.processed_edge_fps, state.processed_local_fps) == pytest.approx((5.0, 15.0))
    assert [a.origin for a in state.processed] == [Origin.LOCAL, Origin.EDGE]


def test_what_cannot_be_run_locally_either_has_failed_at_the_edge():
    state = world_of(1, capacity_bps=0.0).step(decision_of(edge(20.0, 'yolov8l', 960)), 0)
    assert not state.edge_reachable
    assert state.processed_edge_fps == 0.0
    assert state.gpu_utilization == pytest.approx(1.0)
    assert state.drop_counts == {'edge_failed': int(state.dropped_fps)}


def test_local_frames_come_before_those_the_edge_gave_back():
    chosen = decision_of(local(10.0, 'yolov8l', 960), edge(10.0, 'yolov8n', 480))
    state = world_of(1, capacity_bps=0.0).step(chosen, 0)
    assert [(a.model, a.origin) for a in state.processed] == [('yolov8l', Origin.LOCAL)]
    assert set(state.drop_counts) == {'superseded', 'edge_failed'}


def test_a_short_server_limits_what_is_offloaded():
    share = 4.0 * POINTS['yolov8n', 480].server_time_s
    state = world_of(1, server_share=share, capacity_bps=1e8).step(decision_of(edge(20.0)), 0)
    assert state.processed_edge_fps == pytest.approx(4.0)
    assert state.server_share == share


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_an_edge_that_does_nothing_or_a_dead_link_report_what_a_robot_would_see(share):
    world = world_of(1, server_share=share, capacity_bps=0.5 * REACHABLE_BPS)
    state = world.step(decision_of(edge(20.0)), 0)
    assert not state.edge_reachable
    assert math.isnan(state.rtt_s)
    assert math.isnan(state.server_share)
    assert state.uplink_throughput_bps == 0.0


@pytest.mark.parametrize(
    ('clock_hz', 'runs_hz'),
    [(306e6, 306e6), (306.1e6, 408e6), (1.0, 306e6), (9e9, TOP_HZ), (0.0, TOP_HZ),
     (math.nan, TOP_HZ), (-1.0, TOP_HZ), (math.inf, TOP_HZ)],
)  # fmt: skip
def test_the_clock_is_rounded_up_to_a_level(clock_hz, runs_hz):
    assert world_of(1).step(decision_of(clock_hz=clock_hz), 0).gpu_frequency_hz == runs_hz


def test_a_clock_left_to_the_device_stays():
    world = world_of(2)
    world.step(decision_of(clock_hz=510e6), 0)
    assert world.step(decision_of(clock_hz=math.nan), 1).gpu_frequency_hz == 510e6


def test_capacity_is_measured_when_something_is_sent_and_ages_else():
    world = world_of(4, capacity_bps=[4e6, 1e6, 2e6, 0.0])
    states = [
        world.step(decision_of(*chosen), slot)
        for slot, chosen in enumerate([(edge(1.0),), (local(1.0),), (edge(1.0),), (edge(1.0),)])
    ]
    known = [s.uplink_capacity_bps for s in states]
    assert known[0] == pytest.approx(4e6, rel=0.15)
    assert known[0] != 4e6
    assert known[1] == known[0]
    assert known[2] == pytest.approx(2e6, rel=0.15)
    assert known[3] == known[2]
    assert [s.uplink_capacity_age_s for s in states] == [0.0, 1.0, 0.0, 1.0]


def test_before_the_first_slot_only_the_configurations_are_known():
    state = world_of(1).start()
    assert state.operating_points is PROFILE.points
    assert state.processed == ()
    assert math.isnan(state.uplink_capacity_bps)
    assert state.uplink_capacity_age_s == math.inf
    assert state.dropped_fps == state.arrival_fps == PROFILE.arrival_fps


def test_conditions_for_other_configurations_are_refused():
    conditions = make_conditions('steady', profile=load_profile('tx2'), slots=1, seed=0)
    with pytest.raises(InvalidValueError, match='length of point_latency_bias = 12'):
        World(conditions, PROFILE, SETTINGS)


def test_a_local_frame_waits_half_a_service_time_when_another_runs():
    point = POINTS['yolov8n', 480]
    service_s = point.local_latency_s(TOP_HZ)
    state = world_of(1).step(decision_of(local(10.0)), 0)
    busy = 10.0 * service_s
    assert state.latency_local_mean_s == pytest.approx(service_s * (1.0 + 0.5 * busy))
    assert state.latency_local_p95_s == pytest.approx(state.latency_local_mean_s)


def test_of_too_many_local_frames_the_newest_waits_less_than_the_time_between_two():
    point = POINTS['yolov8l', 960]
    state = world_of(1).step(decision_of(local(20.0, 'yolov8l', 960)), 0)
    expected_s = point.local_latency_s(TOP_HZ) + 0.5 / 20.0
    assert state.latency_local_mean_s == pytest.approx(expected_s)


def test_an_offloaded_frame_takes_upload_round_trip_and_server():
    point = POINTS['yolov8n', 480]
    state = world_of(1, server_share=0.5).step(decision_of(edge(1e-6)), 0)
    expected_s = point.upload_bits / 4e6 + RTT_S + point.server_time_s / 0.5
    assert expected_s < state.latency_edge_mean_s < expected_s + 0.01
    slower = world_of(1, server_share=0.5).step(decision_of(edge(1e-6), tx_rate_bps=1e6), 0)
    longer_s = slower.latency_edge_mean_s - state.latency_edge_mean_s
    assert longer_s == pytest.approx(point.upload_bits * (1.0 / 1e6 - 1.0 / 4e6), rel=1e-3)


def test_a_full_uplink_keeps_a_bounded_queue():
    point = POINTS['yolov8n', 480]
    upload_s = point.upload_bits / 4e6
    waits = [
        world_of(1).step(decision_of(edge(rate)), 0).latency_edge_mean_s
        for rate in (1.0, 10.0, 15.0, 20.0)
    ]
    assert waits == sorted(waits)
    assert waits[-1] - waits[0] <= (MOST_QUEUED + 1.0) * upload_s


def test_latencies_stand_for_the_frames_processed():
    world = world_of(3)
    states = [world.step(decision_of(local(8.0), edge(9.0, 'yolov8s')), t) for t in range(3)]
    assert sum(world.latencies.frames) == pytest.approx(sum(map(processed_fps, states)))
    assert len(world.latencies.latency_s) == len(world.latencies.frames)


def test_the_radio_stays_on_for_its_tail():
    world = world_of(6, slot_s=4.0)
    idle_w = DEVICE.base_w + DEVICE.beta_w
    powers = [world.step(decision_of(*((edge(1.0),) if t == 0 else ())), t).power_w
              for t in range(6)]  # fmt: skip
    tail = [(power_w - idle_w) / DEVICE.radio_fixed_w for power_w in powers[1:]]
    assert tail == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0], abs=1e-9)  # 10 s


def test_a_radio_without_tail_is_off_when_it_does_not_send():
    radio = Radio(DEVICE, tail_s=0.0, slot_s=1.0)
    assert radio.power_w(1e6) == pytest.approx(DEVICE.radio_power_w(1e6))
    assert radio.power_w(0.0) == 0.0


THERMAL = Thermal(
    resistance_c_per_w=4.0, time_constant_s=50.0, throttle_c=90.0, release_c=85.0
)


def test_temperature_follows_the_exponential_of_the_first_order_model():
    state = ThermalState(THERMAL, slot_s=1.0, top_level=5, temperature_c=25.0)
    warm_c = [state.step(10.0, 25.0) for _ in range(500)]
    assert warm_c[49] == pytest.approx(25.0 + 40.0 * (1.0 - math.exp(-1.0)))
    assert warm_c[-1] == pytest.approx(THERMAL.steady_c(10.0, 25.0), abs=0.01)
    assert state.highest_level == 5


def test_temperature_does_not_depend_on_how_time_is_cut():
    fine = ThermalState(THERMAL, slot_s=0.5, top_level=5, temperature_c=40.0)
    coarse = ThermalState(THERMAL, slot_s=5.0, top_level=5, temperature_c=40.0)
    for _ in range(10):
        fine_c = fine.step(12.0, 30.0)
    assert fine_c == pytest.approx(coarse.step(12.0, 30.0))


def test_throttling_takes_and_gives_a_level_a_slot_with_hysteresis():
    state = ThermalState(THERMAL, slot_s=1.0, top_level=5, temperature_c=89.0)

    def levels(power_w, slots):
        seen = []
        for _ in range(slots):
            state.step(power_w, 25.0)
            seen.append(state.highest_level)
        return seen

    assert levels(20.0, 9)[-7:] == [5, 4, 3, 2, 1, 0, 0]
    levels(15.6, 200)  # down to 87.4 degC, between release and throttling: nothing is given back
    assert levels(15.6, 20) == [0] * 20
    assert levels(0.0, 9) == [0, 0, 1, 2, 3, 4, 5, 5, 5]


def test_a_hot_world_holds_the_clock_down():
    world = world_of(400, ambient_c=70.0)
    chosen = decision_of(local(20.0, 'yolov8l', 960))
    clocks_hz = [world.step(chosen, t).gpu_frequency_hz for t in range(400)]
    levels = [DEVICE.clock_levels_hz.index(hz) for hz in clocks_hz]
    assert levels[0] == len(DEVICE.clock_levels_hz) - 1
    assert min(levels) < levels[0]
    assert np.abs(np.diff(levels)).max() == 1


@pytest.mark.parametrize('name', ['resistance_c_per_w', 'time_constant_s'])
def test_a_thermal_model_that_cannot_be_is_refused(name):
    with pytest.raises(InvalidValueError, match=f'thermal.{name} = 0'):
        dataclasses.replace(THERMAL, **{name: 0.0})


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=40), st.floats(0.1, 2.0))
def test_whole_drops_keep_up_with_the_fluid(rates_fps, slot_s):
    counter = DropCounter(slot_s)
    counted = sum(counter.add(0.0, rate, 0.0).get('superseded', 0) for rate in rates_fps)
    assert 0.0 <= sum(rates_fps) * slot_s - counted + 1e-9 < 1.0 + 1e-8
