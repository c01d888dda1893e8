"""The rivals from the literature that adapt without learning a table: DMS and CutEdge."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
from control_examples import DEVICE, SETTINGS, forecast, play, played

from visionscaling_ros.control import make_policy
from visionscaling_ros.control.policies.cutedge import CutEdgePolicy
from visionscaling_ros.datatypes import Allocation, Origin

LEVELS_HZ = DEVICE.clock_levels_hz

# dms

DMS_SETTINGS = dataclasses.replace(SETTINGS, accuracy_target_map=0.3)


@pytest.mark.parametrize('latency_target_s', [0.015, 0.02, 0.025, 0.03])
def test_dms_converges_to_its_latency_target(latency_target_s: float) -> None:
    """At full clock: arrivals that keep the governor there."""
    asked = dataclasses.replace(DMS_SETTINGS, latency_target_s=latency_target_s)
    policy = make_policy('dms', asked)
    history = play(policy, 60, arrival_fps=0.95 / latency_target_s)
    latencies_s = [state.latency_local_mean_s for _, state in history[-10:]]
    reached_s = min(latency_target_s, 0.9 * latency_target_s / 0.95)
    assert latencies_s == pytest.approx([reached_s] * 10, rel=0.02)


def test_dms_uses_the_largest_model_where_it_is_fast_enough() -> None:
    asked = dataclasses.replace(DMS_SETTINGS, latency_target_s=0.2)
    history = play(make_policy('dms', asked), 30, arrival_fps=4.0)
    assert {a.model for a in history[-1][0].allocations} == {'m'}


def test_dms_prunes_while_something_slows_it_down_and_recovers_at_once() -> None:
    policy = make_policy('dms', dataclasses.replace(DMS_SETTINGS, latency_target_s=0.05))
    before = play(policy, 40, arrival_fps=18.0)[-1][0].expected_map
    slowed = play(policy, 200, arrival_fps=18.0, slowdown=3.0)[-1][0].expected_map
    after = play(policy, 20, arrival_fps=18.0)[-1][0].expected_map
    assert slowed < before - 0.05
    assert after == pytest.approx(before, abs=0.02)  # 200 slow slots have not wound it up


def test_dms_never_prunes_below_the_accuracy_target() -> None:
    policy = make_policy('dms', dataclasses.replace(SETTINGS, latency_target_s=0.001))
    history = play(policy, 30)
    assert history[-1][0].allocations == (Allocation('s', 320, Origin.LOCAL, 15.0),)
    assert all(d.expected_map >= SETTINGS.accuracy_target_map for d, _ in history)


def test_dms_learns_nothing_from_a_slot_without_a_latency() -> None:
    policy, twin = (make_policy('dms', DMS_SETTINGS) for _ in range(2))
    for each in (policy, twin):
        play(each, 10, arrival_fps=40.0)
    decision = policy.decide(forecast(arrival_fps=40.0))
    silent = dataclasses.replace(played(decision), latency_local_mean_s=math.nan)
    policy.observe(dataclasses.replace(silent, gpu_utilization=0.99))
    assert (
        policy.decide(forecast(arrival_fps=40.0)).allocations
        == twin.decide(forecast(arrival_fps=40.0)).allocations
    )


# cutedge


def cutedge_run(tradeoff: float, *, capacity_bps: float = 0.0) -> tuple[float, float, float]:
    """Mean power [W], processed [frames/s] and backlog of 600 slots."""
    policy = CutEdgePolicy(SETTINGS, tradeoff=tradeoff)
    power_w = processed_fps = backlog = 0.0
    for _ in range(600):
        ((_, state),) = play(policy, 1, capacity_bps=capacity_bps)
        power_w += state.power_w / 600
        processed_fps += (state.processed_local_fps + state.processed_edge_fps) / 600
        backlog += policy.backlog / 600
    return power_w, processed_fps, backlog


def test_cutedge_trades_backlog_for_energy() -> None:
    runs = [cutedge_run(tradeoff) for tradeoff in (0.1, 1.0, 4.0)]
    for (power_w, _, backlog), (less_w, processed_fps, more) in pairwise(runs):
        assert less_w < power_w
        assert more > backlog
        assert processed_fps > 0.97 * 15.0


def test_cutedge_serves_what_arrives_at_the_clock_it_takes() -> None:
    history = play(CutEdgePolicy(SETTINGS), 300)
    clocks_hz = {d.gpu_frequency_hz for d, _ in history[-50:]}
    assert clocks_hz <= {3e8, 6e8}  # 15 frames/s are too many for 0.3 GHz, not for 0.6
    assert {a.model for d, _ in history for a in d.allocations} == {'s'}


def test_cutedge_moves_to_the_edge_where_sending_is_cheaper() -> None:
    demanding = dataclasses.replace(SETTINGS, accuracy_target_map=0.6)
    dear = dataclasses.replace(DEVICE, radio_fixed_w=50.0)
    edge_fps = []
    for device in (DEVICE, dear):
        policy = CutEdgePolicy(demanding)
        sent_fps = 0.0
        for slot in range(300):
            state = played(decision := policy.decide(forecast(slot=slot, device=device)))
            policy.observe(state)
            assert {a.model for a in decision.allocations} == {'m'}
            sent_fps += state.processed_edge_fps / 300
        edge_fps.append(sent_fps)
    assert edge_fps[0] > 1.0
    assert edge_fps[1] == 0.0


def test_cutedge_forgets_an_overload_soon() -> None:
    policy = CutEdgePolicy(SETTINGS)
    play(policy, 500, arrival_fps=200.0)
    recovered = play(policy, 60, arrival_fps=5.0)
    assert recovered[0][0].gpu_frequency_hz == LEVELS_HZ[-1]
    assert all(d.gpu_frequency_hz <= LEVELS_HZ[1] for d, _ in recovered[-20:])


def test_cutedge_sends_single_frames_to_learn_an_unknown_capacity() -> None:
    asked = forecast(capacity_bps=250e3, exploration_fps=1.0)
    edge = [
        a
        for a in make_policy('cutedge', SETTINGS).decide(asked).allocations
        if a.origin is Origin.EDGE
    ]
    assert [a.rate_fps for a in edge] == [1.0]
