"""What a decision is explained by, against figures worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
from control_examples import DEVICE, LARGE, MIDDLE, SETTINGS, SMALL, forecast, play, ran

from visionscaling_ros.control import ControlSettings, DeviceModel, make_policy
from visionscaling_ros.control.explanation import Explainer, explain
from visionscaling_ros.datatypes import Allocation, Binding, Origin, SlotDecision

# 10 frames/s of the middle one on the robot at 600 MHz, 5 of the large one at the edge, of 15.
LOCAL = Allocation('s', 320, Origin.LOCAL, 10.0)
EDGE = Allocation('m', 416, Origin.EDGE, 5.0)
EXPECTED_MAP = (10 * 0.50 + 5 * 0.64) / 15
DECISION = SlotDecision(
    slot=1,
    allocations=(LOCAL, EDGE),
    gpu_frequency_hz=6e8,
    tx_rate_bps=2.5e6,
    arrival_fps=15.0,
    policy='made',
    expected_power_w=8.5,
    expected_processed_fps=15.0,
    expected_map=EXPECTED_MAP,
    expected_cost=-18.0,
    multiplier=0.2,
)
WORLD = forecast()  # 15 frames/s, 4 Mbit/s, all of the server, clocks up to 1.3 GHz
MOST_W = 4.0 + 3.2 + 1.5 * 1.3**3 + 0.54  # of the device: base, idle GPU, busy GPU, radio


def decision(**changes: object) -> SlotDecision:
    return dataclasses.replace(DECISION, **changes)  # type: ignore[arg-type]


def cost(power_w: float, processed_fps: float) -> float:
    return power_w / MOST_W - 20.0 * (processed_fps / (processed_fps + 0.742)) / (30.0 / 30.742)


def test_usages_are_what_is_asked_for_over_what_there_is() -> None:
    told = explain(DECISION, WORLD, SETTINGS)
    assert told.accuracy_margin_map == pytest.approx(EXPECTED_MAP - 0.5)
    assert told.arrivals_usage == pytest.approx(1.0)
    busy = 10.0 * (0.018 / 0.6 + 0.002)
    assert told.compute_usage == pytest.approx(busy / 0.8)
    assert told.uplink_usage == pytest.approx(5.0 * 250e3 / 4e6)
    assert told.server_usage == pytest.approx(5.0 * 0.010)
    assert told.clock_usage == pytest.approx(0.6 / 1.3)
    assert told.edge_usable is True
    assert told.binding_constraints is Binding.ARRIVALS


def test_latency_is_that_of_the_robot_and_of_transfer_and_server_by_rate() -> None:
    on_robot_s, at_edge_s = 0.018 / 0.6 + 0.002, 250e3 / 2.5e6 + 0.010
    told = explain(DECISION, WORLD, SETTINGS)
    assert told.expected_latency_s == pytest.approx((10 * on_robot_s + 5 * at_edge_s) / 15)


@pytest.mark.parametrize(
    ('tx_rate_bps', 'changes', 'transfer_bps'),
    [
        (8e6, {}, 4e6),  # the uplink is slower than its ceiling
        (0.0, {}, 4e6),  # no ceiling
        (2.5e6, {'capacity_bps': 250e3, 'exploration_fps': 1.0}, 2.5e6),  # not known
        (2.5e6, {'capacity_bps': math.nan}, 2.5e6),
        (0.0, {'capacity_bps': math.nan}, math.nan),
        (2.5e6, {'edge_reachable': False}, math.nan),
    ],
)
def test_a_frame_is_sent_at_the_ceiling_or_at_what_is_counted_on(
    tx_rate_bps: float, changes: dict[str, object], transfer_bps: float
) -> None:
    asked = decision(allocations=(EDGE,), tx_rate_bps=tx_rate_bps)
    told = explain(asked, forecast(**changes), SETTINGS)
    at_edge_s = 250e3 / transfer_bps + 0.010
    assert told.expected_latency_s == pytest.approx(at_edge_s, nan_ok=True)


def test_what_is_unknown_or_not_there_is_not_a_number() -> None:
    told = explain(DECISION, forecast(edge_reachable=False), SETTINGS)
    assert told.edge_usable is False
    assert math.isnan(told.uplink_usage)
    assert math.isnan(told.server_usage)
    shut = explain(DECISION, WORLD, dataclasses.replace(SETTINGS, allow_edge=False))
    assert shut.edge_usable is False
    assert math.isnan(shut.uplink_usage)
    stuck = DeviceModel(alpha_w_per_ghz3=1.5, frequency_hz=5e8)
    told = explain(decision(gpu_frequency_hz=0.0), forecast(device=stuck), SETTINGS)
    assert math.isnan(told.clock_usage)
    assert told.compute_usage == pytest.approx(10.0 * (0.018 / 0.5 + 0.002) / 0.8)


@pytest.mark.parametrize(
    ('changes', 'world', 'more'),
    [
        ({'expected_map': 0.502}, {}, Binding.ACCURACY),
        ({'expected_map': 0.45}, {}, Binding.ACCURACY),
        ({'expected_map': 0.51}, {}, Binding(0)),
        ({'gpu_frequency_hz': 1.3e9}, {}, Binding.CLOCK),
        ({}, {'capacity_bps': 1.25e6}, Binding.UPLINK),
        ({}, {'capacity_bps': 1.27e6}, Binding(0)),
        ({}, {'server_share': 0.05}, Binding.SERVER),
        ({}, {'server_share': 0.051}, Binding(0)),
        ({'gpu_frequency_hz': 3e8}, {}, Binding(0)),  # busy for 0.62
        ({'gpu_frequency_hz': 3e8, 'allocations': (LOCAL, LOCAL)}, {}, Binding.COMPUTE),
    ],
)
def test_a_limit_binds_within_one_percent(
    changes: dict[str, object], world: dict[str, object], more: Binding
) -> None:
    told = explain(decision(**changes), forecast(**world), SETTINGS)
    assert told.binding_constraints == Binding.ARRIVALS | more


def test_frames_left_out_do_not_make_arrivals_bind() -> None:
    told = explain(decision(expected_processed_fps=14.8), WORLD, SETTINGS)
    assert told.arrivals_usage == pytest.approx(14.8 / 15)
    assert not told.binding_constraints & Binding.ARRIVALS


def test_accuracy_binds_only_where_something_less_accurate_could_be_used() -> None:
    at_target = decision(allocations=(dataclasses.replace(LOCAL, rate_fps=15.0),), expected_map=0.5)
    told = explain(at_target, forecast(operating_points=(MIDDLE, LARGE)), SETTINGS)
    assert not told.binding_constraints & Binding.ACCURACY
    told = explain(at_target, forecast(operating_points=(SMALL, MIDDLE)), SETTINGS)
    assert told.binding_constraints & Binding.ACCURACY


def test_accuracy_binds_below_a_target_that_nobody_reaches() -> None:
    all_large = decision(allocations=(EDGE,), expected_map=0.64, expected_processed_fps=5.0)
    told = explain(all_large, WORLD, ControlSettings(accuracy_target_map=0.9))
    assert told.accuracy_margin_map == pytest.approx(-0.26)
    assert told.binding_constraints & Binding.ACCURACY


def test_the_price_of_accuracy_is_paid_for_what_is_missing() -> None:
    below = decision(expected_map=0.45)
    told = explain(below, WORLD, SETTINGS)
    assert told.penalized_cost == pytest.approx(-18.0 + 0.2 * 15.0 * (0.5 - 0.45))
    # Policies price what is missing from the best there is.
    told = explain(below, WORLD, ControlSettings(accuracy_target_map=0.9))
    assert told.penalized_cost == pytest.approx(-18.0 + 0.2 * 15.0 * (0.64 - 0.45))


def test_the_same_elsewhere_is_the_runner_up_of_the_only_configuration() -> None:
    only = decision(
        allocations=(dataclasses.replace(LOCAL, rate_fps=15.0),), expected_map=0.5, multiplier=0.0
    )
    told = explain(only, forecast(operating_points=(MIDDLE,)), SETTINGS)
    (there,) = told.runner_up
    assert (there.model, there.input_size_px, there.origin) == ('s', 320, Origin.EDGE)
    assert there.rate_fps == pytest.approx(15.0)
    power_w = 4.0 + 3.2 + 0.54 + 0.08 * (15.0 * 0.15)  # the GPU idles, the radio sends
    assert told.runner_up_power_w == pytest.approx(power_w)
    assert told.runner_up_processed_fps == pytest.approx(15.0)
    assert told.runner_up_map == pytest.approx(0.5)
    assert told.runner_up_cost == pytest.approx(cost(power_w, 15.0))
    assert told.runner_up_penalized_cost == pytest.approx(told.runner_up_cost)
    assert told.runner_up_frequency_hz in DEVICE.clock_levels_hz


def test_the_runner_up_pays_the_price_of_its_own_accuracy() -> None:
    only = decision(allocations=(EDGE,), expected_map=0.64, expected_processed_fps=5.0)
    told = explain(only, forecast(operating_points=(LARGE,)), SETTINGS)
    (here,) = told.runner_up
    assert here.origin is Origin.LOCAL
    frame_s = 0.050 / 1.3 + 0.004  # the least time it takes keeps up with 15 frames/s
    assert here.rate_fps == pytest.approx(15.0)
    assert told.runner_up_frequency_hz == 1.3e9
    power_w = 4.0 + 3.2 + 15.0 * frame_s * 1.5 * 1.3**3
    assert told.runner_up_cost == pytest.approx(cost(power_w, 15.0))
    priced = told.runner_up_cost + 0.2 * 15.0 * (0.5 - 0.64)
    assert told.runner_up_penalized_cost == pytest.approx(priced)


@pytest.mark.parametrize(
    'world',
    [
        {'operating_points': ()},
        {'operating_points': (MIDDLE,), 'edge_reachable': False},
        {'operating_points': (dataclasses.replace(MIDDLE, upload_bits=0.0),)},
        {'arrival_fps': 0.0},
    ],
)
def test_where_there_is_no_other_way_there_is_no_runner_up(world: dict[str, object]) -> None:
    told = explain(decision(allocations=(LOCAL,)), forecast(**world), SETTINGS)
    assert told.runner_up == ()
    assert math.isnan(told.runner_up_cost)
    assert math.isnan(told.runner_up_penalized_cost)
    assert math.isfinite(told.penalized_cost)


def test_where_accuracy_has_no_price_the_runner_up_meets_the_target() -> None:
    free = decision(multiplier=0.0, allocations=(LOCAL,), expected_map=0.5)
    told = explain(free, forecast(edge_reachable=False), SETTINGS)
    assert {a.model for a in told.runner_up} == {'m'}
    # or comes up to the decision, where that is below the target
    low = decision(multiplier=0.0, allocations=(LOCAL,), expected_map=0.35)
    told = explain(low, forecast(edge_reachable=False), SETTINGS)
    assert 'n' in {a.model for a in told.runner_up}


def test_frames_on_the_robot_are_never_run_at_a_lower_clock_than_decided() -> None:
    for level_hz in DEVICE.clock_levels_hz:
        asked = decision(gpu_frequency_hz=level_hz, allocations=(EDGE,))
        told = explain(asked, forecast(edge_reachable=False), SETTINGS)
        assert told.runner_up_frequency_hz >= level_hz


def test_half_the_uplink_is_used_up_twice_as_fast() -> None:
    worlds = [forecast(capacity_bps=capacity_bps) for capacity_bps in (4e6, 2e6, 1e6)]
    policy = make_policy('edge_only', SETTINGS)
    told = [explain(policy.decide(world), world, SETTINGS) for world in worlds]
    usages = [t.uplink_usage for t in told]
    assert usages == pytest.approx([15.0 * 150e3 / 4e6, 1.0, 1.0])
    binds = [bool(t.binding_constraints & Binding.UPLINK) for t in told]
    assert binds == [False, True, True]


def test_a_policy_that_asks_for_too_much_is_told_how_much() -> None:
    asked = forecast(arrival_fps=200.0, edge_reachable=False)
    told = explain(make_policy('fixed', SETTINGS).decide(asked), asked, SETTINGS)
    frame_s = 0.050 / 1.3 + 0.004
    assert told.compute_usage == pytest.approx(200.0 * frame_s / 0.8)
    assert told.arrivals_usage == pytest.approx(1.0 / frame_s / 200.0)
    assert told.binding_constraints == Binding.COMPUTE | Binding.CLOCK


def test_the_default_policy_is_bound_by_the_target_and_by_what_it_runs_out_of() -> None:
    policy = make_policy('visionscaling_meta', SETTINGS)
    alone = forecast(edge_reachable=False)
    for chosen, _ in play(policy, 40)[20:]:
        binding = explain(chosen, alone, SETTINGS).binding_constraints
        assert binding & Binding.ARRIVALS
        assert not binding & (Binding.CLOCK | Binding.UPLINK | Binding.SERVER)
        below = chosen.expected_map <= SETTINGS.accuracy_target_map  # in turns with above
        assert bool(binding & Binding.ACCURACY) is below
    crowded = forecast(arrival_fps=90.0, edge_reachable=False)
    for slot in range(30):
        chosen = policy.decide(dataclasses.replace(crowded, slot=slot))
        policy.observe(ran(chosen, edge_reachable=False))
    told = explain(chosen, crowded, SETTINGS)
    assert told.binding_constraints & Binding.COMPUTE


def test_explaining_one_after_the_other_tells_the_same_as_each_on_its_own() -> None:
    policy, explainer = make_policy('visionscaling', SETTINGS), Explainer()
    for slot in range(12):
        asked = forecast(slot=slot, arrival_fps=10.0 + slot, capacity_bps=(1 + slot % 3) * 1e6)
        settings = SETTINGS if slot < 6 else dataclasses.replace(SETTINGS, weight_energy=2.0)
        policy.settings = settings
        chosen = policy.decide(asked)
        policy.observe(ran(chosen))
        told = explainer.explain(chosen, asked, settings)
        assert repr(told) == repr(explain(chosen, asked, settings))  # NaN equals NaN in writing
