"""The modified online saddle point, slot by slot."""

from __future__ import annotations

import dataclasses

import pytest
from control_examples import DEVICE, FORECAST, LARGE, SETTINGS, SMALL, forecast, ran

from visionscaling_ros.control import ControlSettings, Forecast, make_policy
from visionscaling_ros.datatypes import Origin


def alone(**changes: object) -> Forecast:
    """A robot without an edge server."""
    return forecast(edge_reachable=False, **changes)


def test_cold_start_meets_the_target_at_once() -> None:
    decision = make_policy('visionscaling', SETTINGS).decide(FORECAST)
    assert decision.expected_map >= SETTINGS.accuracy_target_map
    assert decision.expected_processed_fps == pytest.approx(15.0, abs=0.01)


def test_unknown_capacity_is_explored() -> None:
    asked = forecast(capacity_bps=250e3, exploration_fps=1.0)
    decision = make_policy('visionscaling', SETTINGS).decide(asked)
    edge_fps = sum(a.rate_fps for a in decision.allocations if a.origin is Origin.EDGE)
    assert edge_fps == pytest.approx(1.0, abs=0.01)


def test_clock_is_the_lowest_that_keeps_up() -> None:
    policy = make_policy('visionscaling', SETTINGS)
    for slot in range(30):
        decision = policy.decide(alone(slot=slot))
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
    policy = make_policy('visionscaling', ControlSettings(accuracy_target_map=0.99))
    decision = policy.decide(alone())
    for slot in range(40):
        policy.observe(ran(decision))
        decision = policy.decide(alone(slot=slot))
    assert decision.expected_map == pytest.approx(LARGE.accuracy_map, abs=0.02)
    assert decision.expected_processed_fps > 12.0


def test_new_configurations_are_taken_up_without_forgetting_the_multiplier() -> None:
    asked = ControlSettings(accuracy_target_map=0.6)
    twins = [make_policy('visionscaling', asked) for _ in range(2)]
    few = (SMALL, LARGE)
    for policy in twins:
        for slot in range(10):
            decision = policy.decide(alone(slot=slot, operating_points=few))
            policy.observe(ran(decision, operating_points=few))
    same = twins[0].decide(alone(operating_points=few))
    changed = twins[1].decide(alone())
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
        policy = make_policy('visionscaling', asked)
        for slot in range(60):
            decision = policy.decide(alone(slot=slot))
            policy.observe(ran(decision))
        processed[asked.min_processed_fps] = decision.expected_processed_fps
    assert processed[0.0] < 6.0
    assert processed[10.0] > 8.0
