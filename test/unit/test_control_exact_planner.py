"""Plans of a slot: the best over all clock levels, and the queues that price accuracy."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from control_examples import DEVICE as NO_TAIL
from control_examples import LARGE, MIDDLE, POINTS, SETTINGS, SMALL, forecast
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings
from visionscaling_ros.control.exact import queued_cost, solve, solve_queued
from visionscaling_ros.control.exact_planner import ExactPlanner
from visionscaling_ros.control.fluid import Fluid
from visionscaling_ros.control.point_table import PointTable, admitted_locally
from visionscaling_ros.control.slot_plan import SlotPlans, exact_plans
from visionscaling_ros.control.slot_rows import RowConditions, SlotRows
from visionscaling_ros.control.units import gradient_unit, largest_gap_map

DEVICE = dataclasses.replace(NO_TAIL, radio_tail_s=10.0)
TABLE = PointTable.build(POINTS, DEVICE)
LEVELS = len(DEVICE.clock_levels_hz)
UNIT, GAP = gradient_unit(TABLE, SETTINGS), largest_gap_map(TABLE, SETTINGS)
LIMIT = SETTINGS.max_multiplier * UNIT / GAP
CAPACITIES_BPS = (2e6, 3e6, 5e6)
NO_UPLINK = (0.0, 0.0, 0.0)

wishes = st.builds(
    ControlSettings,
    accuracy_target_map=st.sampled_from([0.35, 0.5, 0.6, 0.9]),
    weight_energy=st.sampled_from([0.1, 1.0, 10.0]),
    weight_rate=st.sampled_from([0.0, 1.0, 20.0]),
    min_processed_fps=st.sampled_from([0.0, 6.0]),
    max_blocked_arrivals=st.sampled_from([0.3, 2.0]),
)
capacities = st.one_of(st.just(0.0), st.floats(1e4, 1e7))
shares = st.sampled_from([0.0, 0.005, 0.02, 0.1, 1.0])


def assert_fits(plans: SlotPlans, arrival_fps: float, capacity_bps: float, share: float) -> None:
    slack = 1.0 + 1e-6
    for local_fps, edge_fps, level in zip(
        plans.local_fps, plans.edge_fps, plans.level, strict=True
    ):
        assert np.all(np.isfinite(local_fps))
        assert np.all(local_fps >= 0.0)
        assert np.all(edge_fps >= 0.0)
        assert local_fps.sum() + edge_fps.sum() <= arrival_fps * slack
        assert local_fps @ TABLE.local_s[level] <= SETTINGS.utilization_ceiling * slack
        assert edge_fps @ TABLE.upload_bits <= capacity_bps * slack
        assert edge_fps @ TABLE.server_s <= share * slack + 1e-9


@given(
    st.floats(0.1, 60.0), st.lists(capacities, min_size=1, max_size=3), shares, wishes,
    st.floats(-2.0, 4.0), st.floats(-2.0, 4.0), st.floats(0.05, 0.5),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_no_level_is_better_than_the_one_chosen(
    arrival_fps: float, capacities_bps: list[float], share: float, asked: ControlSettings,
    off: float, on: float, pace: float,
) -> None:  # fmt: skip
    """Against every row solved with the server's time, none ruled out beforehand."""
    multipliers = (off * UNIT / GAP, on * UNIT / GAP)
    step = pace * UNIT / (GAP * GAP * asked.full_rate_fps)
    plans, value = exact_plans(
        SlotRows(), TABLE, arrival_fps=arrival_fps, capacities_bps=tuple(capacities_bps),
        server_share=share, settings=asked, multipliers=multipliers, step=step,
    )  # fmt: skip
    count = len(capacities_bps)
    problem = SlotRows().build(
        TABLE, RowConditions.of_slot(LEVELS, arrival_fps, capacities_bps, share), asked,
        admitted=admitted_locally(TABLE.local_s, arrival_fps, asked), with_server=True,
    )  # fmt: skip
    queue = np.repeat(multipliers, (LEVELS, count * LEVELS))
    found = solve_queued(problem, solve(problem, np.maximum(queue, 0.0)), queue, step)
    least = queued_cost(found, queue, step).reshape(-1, LEVELS).min(axis=1)
    assert value == pytest.approx(least, rel=1e-4, abs=1e-3)
    for n, capacity_bps in enumerate([0.0, *capacities_bps]):
        assert_fits(plans.some(slice(n, n + 1)), arrival_fps, capacity_bps, share)
    # What they cost is what they come to.
    for n, capacity_bps in enumerate([0.0, *capacities_bps]):
        usable = capacity_bps > 0.0 and share > 0.0
        one = plans.some(slice(n, n + 1))
        outcome = Fluid(one, TABLE, arrival_fps, asked).at_own_level(
            arrival_fps, capacity_bps, share, radio_on=usable
        )
        idle_w = DEVICE.base_w + DEVICE.beta_w
        cost = outcome.cost + asked.weight_energy * idle_w / DEVICE.p_max_w
        price = max(multipliers[min(n, 1)], 0.0)
        after = np.maximum(multipliers[min(n, 1)] + step * outcome.constraint, 0.0)
        drift = (after**2 - price**2) / (2.0 * step)
        assert value[n] == pytest.approx(float((cost + drift)[0]), rel=1e-6, abs=1e-6)


def test_a_short_server_is_not_planned_with_twice() -> None:
    plans, _ = exact_plans(
        SlotRows(), TABLE, arrival_fps=20.0, capacities_bps=(4e6,), server_share=0.02,
        settings=dataclasses.replace(SETTINGS, accuracy_target_map=0.6), multipliers=(0.0, 0.0),
        step=0.25 * UNIT / (GAP * GAP * SETTINGS.full_rate_fps),
    )  # fmt: skip
    assert np.all(plans.edge_fps @ TABLE.server_s <= 0.02 * (1.0 + 1e-6))


def planned(
    planner: ExactPlanner,
    capacities_bps: tuple[float, ...] = CAPACITIES_BPS,
    share: float = 1.0,
    asked: ControlSettings = SETTINGS,
    **changes: object,
) -> tuple[SlotPlans, SlotPlans]:
    asked_of = forecast(device=DEVICE, **changes)
    return planner.plans(TABLE, asked_of, capacities_bps, share, asked)


def moved(planner: ExactPlanner, measured: float, planned_: float, other: float) -> None:
    planner.move_queues(TABLE, SETTINGS, measured=measured, planned=planned_, other=other)


def test_the_target_holds_from_the_start() -> None:
    for capacities_bps in (CAPACITIES_BPS, NO_UPLINK):
        plans, _ = planned(ExactPlanner(), capacities_bps)
        fluid = Fluid(plans, TABLE, 15.0, SETTINGS)
        outcome = fluid.at_own_level(15.0, capacities_bps[1], 1.0)
        assert np.all(outcome.constraint <= 0.25 * GAP * 15.0)
        assert np.all(plans.local_fps.sum(axis=1) + plans.edge_fps.sum(axis=1) > 14.0)


anything = st.one_of(
    st.floats(-1e9, 1e9), st.floats(-3.0, 3.0), st.sampled_from([math.nan, math.inf, -math.inf])
)
happenings = st.tuples(
    st.floats(0.01, 100.0), st.tuples(capacities, capacities, capacities).map(sorted).map(tuple),
    shares, st.sampled_from([0.0, 1.0]), anything, anything, anything,
)  # fmt: skip


@given(st.lists(happenings, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_prices_stay_within_bounds(
    sequence: list[tuple[float, tuple[float, ...], float, float, float, float, float]],
) -> None:
    planner = ExactPlanner()
    for arrival_fps, capacities_bps, share, exploration_fps, *constraints in sequence:
        plans, other = planned(
            planner, capacities_bps, share, arrival_fps=arrival_fps,
            exploration_fps=exploration_fps,
        )  # fmt: skip
        assert len(plans.level) == 3
        assert len(other.level) == 1
        if exploration_fps == 0.0:
            for n, capacity_bps in enumerate(capacities_bps):
                assert_fits(plans.some(slice(n, n + 1)), arrival_fps, capacity_bps, share)
        if capacities_bps == NO_UPLINK or share == 0.0:
            assert not planner.radio_on
        moved(planner, *constraints)
        assert math.isfinite(planner.queue)
        assert abs(planner.queue) <= 3.0 * LIMIT
        assert 0.0 <= planner.multiplier <= 3.0 * LIMIT


def test_accuracy_missed_raises_its_price_and_accuracy_above_lowers_it() -> None:
    planner = ExactPlanner()
    planned(planner)
    at_first = planner.queue
    moved(planner, 1.0, 0.0, 0.0)
    missed = planner.queue
    assert missed > at_first
    moved(planner, -1.0, 0.0, 0.0)
    assert planner.queue == pytest.approx(at_first)
    for _ in range(200):
        moved(planner, -3.0, 0.0, 0.0)
    credit = planner.queue
    assert credit < at_first
    moved(planner, -3.0, 0.0, 0.0)
    assert planner.queue == credit  # credit is not kept without end


def test_a_price_that_rose_buys_accuracy() -> None:
    planner = ExactPlanner()
    accuracy = []
    for _ in range(12):
        plans, _ = planned(planner, NO_UPLINK)
        rate_fps = plans.local_fps[1]
        accuracy.append(float(rate_fps @ TABLE.accuracy_map / rate_fps.sum()))
        moved(planner, 1.0, 1.0, 1.0)
    assert accuracy[-1] > accuracy[0] + 0.02
    assert accuracy == pytest.approx(sorted(accuracy), abs=1e-9)


def test_a_link_that_is_off_does_not_move_the_price_with_the_radio_on() -> None:
    twins = [ExactPlanner(), ExactPlanner()]
    prices = []
    for planner, other in zip(twins, (2.0, -0.5), strict=True):
        planned(planner)
        assert planner.radio_on
        for _ in range(50):
            planned(planner, NO_UPLINK)
            assert not planner.radio_on
            moved(planner, 0.0, 0.0, other)
        planned(planner)
        assert planner.radio_on
        prices.append(planner.queue)
    assert prices[0] == prices[1]


def test_a_free_uplink_is_used_and_a_useless_one_is_not() -> None:
    useful, useless = ExactPlanner(), ExactPlanner()
    asked = dataclasses.replace(SETTINGS, accuracy_target_map=0.62)
    for _ in range(60):  # 30 frames/s are more than the robot can run at the target
        plans, other = planned(useful, (8e6, 8e6, 8e6), asked=asked, arrival_fps=30.0)
        assert plans.edge_fps.sum() > 0.0
        assert not other.edge_fps.any()
        plans, other = planned(useless, (2e4, 2e4, 2e4), asked=asked, arrival_fps=30.0)
    assert useful.radio_on
    assert not useless.radio_on
    assert not plans.edge_fps.any()
    assert other.edge_fps.any()


def test_the_radio_is_not_switched_for_a_slot_or_two() -> None:
    planner = ExactPlanner()
    was_on, switches = True, 0
    for slot in range(300):
        planned(planner, (2e4, 2e4, 2e4) if slot % 3 == 0 else (8e6, 8e6, 8e6))
        switches += planner.radio_on != was_on
        was_on = planner.radio_on
    assert switches <= 20


def test_an_unknown_uplink_is_counted_on_as_it_last_was() -> None:
    planner = ExactPlanner()
    known, _ = planned(planner)
    assert known.edge_fps.any()
    unknown, _ = planned(planner, (250e3, 250e3, 250e3), exploration_fps=1.0)
    assert unknown.edge_fps @ TABLE.upload_bits == pytest.approx(
        np.full(3, known.edge_fps[0] @ TABLE.upload_bits)
    )


def test_plans_over_a_part_of_the_configurations_are_plans_over_all() -> None:
    below = dataclasses.replace(MIDDLE, model='below', accuracy_map=0.40)  # off every envelope
    table = PointTable.build((SMALL, below, MIDDLE, LARGE), DEVICE)
    part = table.on_frontier
    assert part.points == (SMALL, MIDDLE, LARGE)
    some = SlotPlans.of_one(2, np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    every = some.of_table(part, 4)
    assert every.level[0] == 2
    assert every.local_fps[0].tolist() == [1.0, 0.0, 2.0, 3.0]
    assert every.edge_fps[0].tolist() == [4.0, 0.0, 5.0, 6.0]
    both = some.and_(some).some(np.array([1, 0, 0]))
    assert both.level.tolist() == [2, 2, 2]
