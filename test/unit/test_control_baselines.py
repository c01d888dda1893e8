"""What each of the policies people run today does."""

from __future__ import annotations

import dataclasses
import math

import pytest
from control_examples import (
    DEVICE,
    FORECAST,
    LARGE,
    MIDDLE,
    POINTS,
    SETTINGS,
    SMALL,
    forecast,
    play,
    ran,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings, make_policy
from visionscaling_ros.control.policies.ondemand_clock import OndemandClock
from visionscaling_ros.datatypes import Allocation, Origin, SlotState

LEVELS_HZ = DEVICE.clock_levels_hz
BUSY = SlotState(slot=0, duration_s=1.0, gpu_frequency_hz=9e8)


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


# governor


@pytest.mark.parametrize(
    ('load', 'level_hz'),
    [
        (0.95, 1.3e9),  # above the upper threshold: full clock
        (0.90, 9e8),
        (0.86, 9e8),  # between the thresholds: unchanged
        (0.84, 9e8),  # 0.84 * 0.9 / 0.88 GHz, rounded up
        (0.58, 6e8),
        (0.29, 3e8),
        (0.0, 3e8),
        (math.nan, 1.3e9),  # not known: full clock
        (-1.0, 1.3e9),
    ],
)
def test_the_ondemand_clock_follows_the_load(load: float, level_hz: float) -> None:
    clock = OndemandClock()
    clock.observe(dataclasses.replace(BUSY, gpu_utilization=load))
    assert LEVELS_HZ[clock.level(LEVELS_HZ)] == level_hz


@pytest.mark.parametrize('frequency_hz', [math.nan, 0.0, math.inf])
def test_the_ondemand_clock_is_full_where_the_clock_is_not_known(frequency_hz: float) -> None:
    clock = OndemandClock()
    clock.observe(
        dataclasses.replace(BUSY, gpu_utilization=0.1, gpu_frequency_hz=frequency_hz)
    )
    assert clock.level(LEVELS_HZ) == len(LEVELS_HZ) - 1


def test_the_governor_falls_with_the_arrivals_and_rises_with_them() -> None:
    policy = make_policy('governor', SETTINGS)
    idle = play(policy, 5, arrival_fps=2.0)
    assert [d.gpu_frequency_hz for d, _ in idle] == [1.3e9, 3e8, 3e8, 3e8, 3e8]
    busy = play(policy, 5, arrival_fps=18.0)
    assert busy[0][0].gpu_frequency_hz == 3e8
    assert [d.gpu_frequency_hz for d, _ in busy[1:]] == [1.3e9] * 4
    assert all(a.model == 'm' for d, _ in busy for a in d.allocations)


@given(st.floats(1.0, 22.0))
@settings(max_examples=50, deadline=None)
def test_the_governor_settles_where_the_load_is_below_its_threshold(arrival_fps: float) -> None:
    history = play(make_policy('governor', SETTINGS), 10, arrival_fps=arrival_fps)
    settled = [d.gpu_frequency_hz for d, _ in history[-4:]]
    assert len(set(settled)) == 1
    assert history[-1][1].gpu_utilization <= 0.9 or settled[0] == LEVELS_HZ[-1]


# local_only


@given(st.floats(0.5, 80.0), st.floats(0.0, 0.7))
@settings(max_examples=200, deadline=None)
def test_local_only_takes_the_least_energy_of_all_that_keep_up(
    arrival_fps: float, target_map: float
) -> None:
    asked = dataclasses.replace(SETTINGS, accuracy_target_map=target_map)
    decision = make_policy('local_only', asked).decide(forecast(arrival_fps=arrival_fps))
    (used,) = decision.allocations
    assert used.origin is Origin.LOCAL
    assert used.rate_fps == arrival_fps
    least_map = min(target_map, LARGE.accuracy_map)
    allowed = [p for p in POINTS if p.accuracy_map >= least_map]
    by_energy = {
        DEVICE.gpu_dynamic_power_w(f_hz) * p.local_latency_s(f_hz): (p.model, f_hz)
        for p in allowed
        for f_hz in LEVELS_HZ
        if arrival_fps * p.local_latency_s(f_hz) <= asked.utilization_ceiling
    }
    chosen = (used.model, decision.gpu_frequency_hz)
    if by_energy:
        assert chosen == by_energy[min(by_energy)]
    else:
        fastest = min(allowed, key=lambda p: p.local_latency_s(LEVELS_HZ[-1]))
        assert chosen == (fastest.model, LEVELS_HZ[-1])


def test_local_only_never_offloads() -> None:
    policy = make_policy('local_only', SETTINGS)
    for slot in range(20):
        decision = policy.decide(forecast(slot=slot, exploration_fps=1.0))
        assert all(a.origin is Origin.LOCAL for a in decision.allocations)
        policy.observe(ran(decision))


# edge_only


def test_edge_only_sends_the_smallest_upload_that_meets_the_target() -> None:
    decision = make_policy('edge_only', SETTINGS).decide(FORECAST)
    assert decision.allocations == (Allocation('s', 320, Origin.EDGE, 15.0),)
    assert decision.gpu_frequency_hz == LEVELS_HZ[0]
    assert decision.expected_processed_fps == pytest.approx(15.0)


def test_edge_only_sends_no_more_than_the_uplink_probably_carries() -> None:
    slow = forecast(capacity_bps=4e5, capacity_quantiles_bps=(2e5, 4e5, 9e5, 2e6, 4e6))
    (sent,) = make_policy('edge_only', SETTINGS).decide(slow).allocations
    assert sent.rate_fps * MIDDLE.upload_bits == pytest.approx(9e5)


def test_edge_only_looks_for_a_faster_model_where_the_server_is_the_bottleneck() -> None:
    slow_server = dataclasses.replace(MIDDLE, server_time_s=0.1)
    asked = forecast(operating_points=(LARGE, SMALL, slow_server))
    (sent,) = make_policy('edge_only', SETTINGS).decide(asked).allocations
    assert sent == Allocation('m', 416, Origin.EDGE, 15.0)


@pytest.mark.parametrize(
    'changes', [{'edge_reachable': False}, {'capacity_bps': 0.0}, {'server_share': 0.0}]
)
def test_edge_only_without_an_edge_processes_nothing(changes: dict[str, object]) -> None:
    decision = make_policy('edge_only', SETTINGS).decide(forecast(**changes))
    assert decision.allocations == ()
    assert decision.expected_processed_fps == 0.0


def test_an_unknown_capacity_is_tried_with_one_frame_a_second() -> None:
    decision = make_policy('edge_only', SETTINGS).decide(forecast(capacity_bps=math.nan))
    (sent,) = decision.allocations
    assert sent.rate_fps * MIDDLE.upload_bits == pytest.approx(LARGE.upload_bits)
