"""What plans come to, as the world would have it, and the clock that insures them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from control_examples import DEVICE as NO_TAIL
from control_examples import POINTS
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings
from visionscaling_ros.control.fluid import Fluid
from visionscaling_ros.control.insurance import (
    ARRIVAL_QUANTILES,
    ArrivalRatios,
    ClockInsurance,
    CollapseRate,
)
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.realisation import compose
from visionscaling_ros.control.revealed import Revealed
from visionscaling_ros.control.slot_plan import SlotPlans
from visionscaling_ros.datatypes import SlotDecision, SlotState
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.thermal import Thermal
from visionscaling_ros.simulation.world import World

DEVICE = dataclasses.replace(NO_TAIL, radio_tail_s=20.0)
TABLE = PointTable.build(POINTS, DEVICE)
LEVELS = len(DEVICE.clock_levels_hz)
PROFILE = DeviceProfile(
    'made', DEVICE, POINTS, Thermal(1e-6, 1e3, 200.0, 199.0), 15.0, 0.5, 30.0, ('made up',)
)

seeds = st.integers(0, 2**32 - 1)
wishes = st.builds(
    ControlSettings,
    accuracy_target_map=st.sampled_from([0.3, 0.5, 0.64]),
    weight_energy=st.sampled_from([0.0, 1.0, 5.0]),
    weight_rate=st.sampled_from([0.0, 1.0, 20.0]),
    min_processed_fps=st.sampled_from([0.0, 10.0]),
    tx_headroom=st.just(10.0),  # the ceiling on the uplink is to leave room for more arrivals
)
worlds = st.tuples(
    st.floats(0.1, 40.0),
    st.one_of(st.just(0.0), st.floats(1e4, 1e7)),
    st.one_of(st.just(0.0), st.floats(0.001, 1.0)),
)
World3 = tuple[float, float, float]


def random_plans(seed: int, count: int, arrival_fps: float) -> SlotPlans:
    """Plans within what arrives, some busier than the robot can be."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(2 * len(POINTS) + 1, 0.4), count)[:, :-1]
    shares *= rng.random(shares.shape) < 0.7
    split = len(POINTS)
    return SlotPlans(
        rng.integers(0, LEVELS, count),
        arrival_fps * shares[:, :split],
        arrival_fps * shares[:, split:],
    )


def slot_of(
    decisions: list[SlotDecision], world: World3, asked: ControlSettings
) -> SlotState:
    """The last of some slots in a world that stays as it is."""
    count = len(decisions)
    arrival_fps, capacity_bps, share = world
    conditions = Conditions(
        'made', 'made', 0, 1.0, np.full(count, arrival_fps), np.full(count, capacity_bps),
        np.full(count, share), np.ones(count), np.full(count, 25.0), np.ones(len(POINTS)),
    )  # fmt: skip
    played = World(conditions, PROFILE, asked)
    states = [played.step(decision, slot) for slot, decision in enumerate(decisions)]
    return states[-1]


def decision_of(
    plans: SlotPlans, n: int, planned_fps: float, asked: ControlSettings
) -> SlotDecision:
    return compose(
        TABLE, plans.local_fps[n], plans.edge_fps[n], int(plans.level[n]), slot=0,
        arrival_fps=planned_fps, settings=asked,
    )  # fmt: skip


def idle_cost(asked: ControlSettings) -> float:
    return asked.weight_energy * (DEVICE.base_w + DEVICE.beta_w) / DEVICE.p_max_w


@given(seeds, worlds, st.floats(0.3, 3.0), wishes)
@settings(max_examples=200, deadline=None)
def test_plans_come_to_what_the_world_makes_of_them(
    seed: int, world: World3, ratio: float, asked: ControlSettings
) -> None:
    planned_fps = world[0] / ratio
    plans = random_plans(seed, 6, planned_fps)
    outcome = Fluid(plans, TABLE, planned_fps, asked).at_own_level(*world)
    for n in range(6):
        state = slot_of([decision_of(plans, n, planned_fps, asked)], world, asked)
        assert outcome.cost[n] + idle_cost(asked) == pytest.approx(state.cost, abs=1e-6)
        assert outcome.constraint[n] == pytest.approx(state.constraint, abs=1e-6)
        assert outcome.sends[n] == (state.uplink_throughput_bps > 0.0)


@given(seeds, worlds, wishes)
@settings(max_examples=50, deadline=None)
def test_a_radio_left_on_costs_its_tail(
    seed: int, world: World3, asked: ControlSettings
) -> None:
    """In the world the slot before has sent."""
    world = (world[0], max(world[1], 1e5), max(world[2], 0.1))
    before = decision_of(
        SlotPlans.of_one(0, np.zeros(3), np.full(3, world[0] / 3.0)), 0, world[0], asked
    )
    plans = random_plans(seed, 3, world[0])
    outcome = Fluid(plans, TABLE, world[0], asked).at_own_level(*world, radio_on=True)
    for n in range(3):
        state = slot_of([before, decision_of(plans, n, world[0], asked)], world, asked)
        assert outcome.cost[n] + idle_cost(asked) == pytest.approx(state.cost, abs=1e-6)


@given(seeds, st.lists(worlds, min_size=1, max_size=4), wishes)
@settings(max_examples=50, deadline=None)
def test_every_level_in_many_cases_is_each_level_in_each_case(
    seed: int, cases: list[World3], asked: ControlSettings
) -> None:
    plans = random_plans(seed, 4, 15.0)
    share = cases[0][2]
    arrivals_fps, capacities_bps = (np.array([case[i] for case in cases]) for i in (0, 1))
    every = Fluid(plans, TABLE, 15.0, asked).at_every_level(arrivals_fps, capacities_bps, share)
    for s, (arrival_fps, capacity_bps, _) in enumerate(cases):
        for level in range(LEVELS):
            at_level = dataclasses.replace(plans, level=np.full(4, level))
            one = Fluid(at_level, TABLE, 15.0, asked).at_own_level(
                arrival_fps, capacity_bps, share
            )
            assert every.cost[s, level] == pytest.approx(one.cost, abs=1e-9)
            assert every.constraint[s, level] == pytest.approx(one.constraint, abs=1e-9)


# ---- insurance

ASKED = ControlSettings(accuracy_target_map=0.5)


def insured(
    insurance: ClockInsurance,
    plans: SlotPlans,
    *,
    world: World3 = (15.0, 4e6, 1.0),
    capacities_bps: tuple[float, ...] = (4e6,),
    price: float = 0.1,
) -> SlotPlans:
    chosen, value = insurance.insured(
        plans, TABLE, expected=Revealed(*world), capacities_bps=capacities_bps, price=price,
        settings=ASKED,
    )  # fmt: skip
    assert np.all(np.isfinite(value))
    return chosen


def experienced(slots: int, *, capacity_bps: float, arrival_fps: float = 15.0) -> ClockInsurance:
    """After slots in which 15 frames/s and 4 Mbit/s were expected."""
    insurance = ClockInsurance()
    expected = Revealed(15.0, 4e6, 1.0)
    for _ in range(slots):
        insurance.observe(Revealed(arrival_fps, capacity_bps, 1.0), expected, explored=False)
    return insurance


def offloaded(rate_fps: float) -> SlotPlans:
    """All frames to the edge, in the largest configuration."""
    return SlotPlans.of_one(0, np.zeros(3), np.array([rate_fps, 0.0, 0.0]))


@given(
    seeds, worlds, st.lists(st.floats(0.0, 1e7), min_size=1, max_size=5), st.floats(0.0, 100.0),
    st.lists(st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 1e7), st.booleans()), max_size=20),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_never_below_the_level_of_the_plan(
    seed: int, world: World3, capacities_bps: list[float], price: float,
    past: list[tuple[float, float, bool]],
) -> None:  # fmt: skip
    insurance = ClockInsurance()
    for arrival_fps, capacity_bps, explored in past:
        happened = Revealed(arrival_fps, capacity_bps, 1.0)
        insurance.observe(happened, Revealed(*world), explored=explored)
    plans = random_plans(seed, 7, world[0])
    chosen = insured(
        insurance, plans, world=world, capacities_bps=tuple(capacities_bps), price=price
    )
    assert np.all(chosen.level >= plans.level)
    assert np.all(chosen.level < LEVELS)
    assert np.array_equal(chosen.local_fps, plans.local_fps)
    assert np.array_equal(chosen.edge_fps, plans.edge_fps)


def test_full_clock_where_all_is_offloaded_and_the_uplink_keeps_collapsing() -> None:
    """Only at the highest clock there is time for the 20 frames/s that come back."""
    assert 20.0 * TABLE.local_s[-2, 0] > 1.0 > 20.0 * TABLE.local_s[-1, 0]
    insurance = experienced(3000, capacity_bps=0.0)
    chosen = insured(insurance, offloaded(20.0), world=(20.0, 4e6, 1.0))
    assert chosen.level[0] == LEVELS - 1


def test_own_clock_where_all_is_offloaded_and_nothing_ever_comes_back() -> None:
    insurance = experienced(20_000, capacity_bps=4e6)
    few = offloaded(2.0)
    assert insured(insurance, few, world=(2.0, 4e6, 1.0)).level[0] == 0


def test_own_clock_where_nothing_ever_comes_back() -> None:
    """A local plan that fits its clock gains nothing from a higher one."""
    insurance = experienced(3000, capacity_bps=4e6)
    plan = SlotPlans.of_one(1, np.array([0.0, 0.0, 15.0]), np.zeros(3))
    assert insured(insurance, plan).level[0] == 1


def test_more_collapses_are_never_insured_with_a_lower_clock() -> None:
    plans = offloaded(20.0)
    levels = []
    for collapses in (0, 1, 5, 50, 500):
        insurance = experienced(500, capacity_bps=4e6)
        for _ in range(collapses):
            insurance.observe(Revealed(20.0, 0.0, 1.0), Revealed(20.0, 4e6, 1.0), explored=False)
        world = (20.0, 4e6, 1.0)
        levels.append(int(insured(insurance, plans, world=world).level[0]))
    assert levels == sorted(levels)
    assert levels[-1] > levels[0]


def test_chance_of_a_collapse_is_learned_and_forgotten() -> None:
    rate = CollapseRate()
    first = rate.chance
    assert 0.0 < first < 0.2
    for _ in range(200):
        rate.observe(4e6, 4e6)
    fine = rate.chance
    assert fine < 0.3 * first
    rate.observe(0.0, 4e6)
    once = rate.chance
    assert once > fine
    for _ in range(3000):
        rate.observe(0.0, 4e6)
    assert rate.chance == pytest.approx(1.0, abs=0.02)
    for _ in range(5000):
        rate.observe(3e6, 4e6)
    assert rate.chance < 0.01


def test_an_uplink_of_which_nothing_was_expected_does_not_collapse() -> None:
    rate = CollapseRate()
    first = rate.chance
    rate.observe(0.0, 0.0)
    assert rate.chance == first


@given(st.lists(st.floats(0.1, 60.0), min_size=1, max_size=300), st.floats(1.0, 60.0))
@settings(max_examples=60, deadline=None)
def test_ratios_of_arrivals_are_those_that_were(
    arrivals_fps: list[float], expected_fps: float
) -> None:
    ratios = ArrivalRatios()
    for arrival_fps in arrivals_fps:
        ratios.observe(arrival_fps, expected_fps)
    least, most = min(*arrivals_fps, expected_fps), max(*arrivals_fps, expected_fps)
    for asked_fps in (0.5 * expected_fps, expected_fps, 2.0 * expected_fps):
        quantiles = ratios.quantiles(asked_fps)
        assert quantiles.shape == (len(ARRIVAL_QUANTILES),)
        assert np.all(np.diff(quantiles) >= 0.0)
        assert np.all(quantiles >= least / expected_fps - 1e-12)
        assert np.all(quantiles <= most / expected_fps + 1e-12)


def test_arrivals_as_expected_leave_no_doubt() -> None:
    ratios = ArrivalRatios()
    for _ in range(50):
        ratios.observe(20.0, 20.0)
    assert ratios.quantiles(20.0) == pytest.approx(1.0)
