"""The clairvoyant optimum: against HiGHS over all levels, and a bound no decision passes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from control_examples import POINTS
from control_rows import Rows, least_cost
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings, DeviceModel
from visionscaling_ros.control.exact import RateWorth, solve_constrained
from visionscaling_ros.control.rate_utility import rate_utility_scale
from visionscaling_ros.control.realisation import compose
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.oracle import OraclePolicy, oracle_cost, oracle_plan, true_table
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.runner import simulate
from visionscaling_ros.simulation.thermal import Thermal
from visionscaling_ros.simulation.world import World

DEVICE = DeviceModel((3e8, 6e8, 9e8, 1.3e9), 1.5, 3.2, 4.0, 0.54, 0.08)  # no radio tail
NEVER_HOT = Thermal(1e-6, 1e3, 200.0, 199.0)
PROFILE = DeviceProfile('made', DEVICE, POINTS, NEVER_HOT, 15.0, 0.5, 30.0, ('made up',))
FEW = 6  # slots of an example
TANGENTS_FPS = np.geomspace(0.1, 60.0, 6)

seeds = st.integers(0, 2**32 - 1)
wishes = st.builds(
    ControlSettings,
    accuracy_target_map=st.sampled_from([0.3, 0.45, 0.5, 0.6, 0.64, 0.9]),
    weight_energy=st.sampled_from([0.2, 1.0, 5.0]),
    weight_rate=st.sampled_from([0.0, 0.5, 20.0]),
    min_processed_fps=st.sampled_from([0.0, 8.0]),
    utilization_ceiling=st.sampled_from([0.5, 0.8]),
    max_blocked_arrivals=st.sampled_from([0.5, 2.0]),
    allow_edge=st.booleans(),
)


def conditions_of(seed: int, slots: int = FEW) -> Conditions:
    """Slots with good, bad and no uplink, and with a server that is short or not."""
    rng = np.random.default_rng(seed)
    return Conditions(
        trace='made', scenario='made', seed=seed, slot_s=1.0,
        arrival_fps=rng.uniform(0.5, 40.0, slots) * (rng.random(slots) < 0.95),
        capacity_bps=np.exp(rng.uniform(10.0, 17.0, slots)) * (rng.random(slots) < 0.8),
        server_share=rng.choice([1.0, 0.1, 0.02, 0.0], slots),
        latency_factor=rng.uniform(0.7, 1.6, slots),
        ambient_c=np.full(slots, 25.0),
        point_latency_bias=rng.uniform(0.8, 1.2, len(POINTS)),
        power_bias=float(rng.uniform(0.9, 1.1)),
    )  # fmt: skip


def rows_of(conditions: Conditions, asked: ControlSettings) -> Rows:
    """Every slot at every level without and with the radio, written down from the physics."""
    levels_hz = DEVICE.clock_levels_hz
    per_slot = 2 * len(levels_hz)
    each = np.repeat(np.arange(len(conditions)), per_slot)
    count = len(each)
    level_hz = np.tile(np.tile(levels_hz, 2), len(conditions))
    radio = np.tile(np.repeat([0.0, 1.0], len(levels_hz)), len(conditions))
    arrival_fps = conditions.arrival_fps[each]
    busy_s = np.array([[p.local_latency_s(hz) for p in POINTS] for hz in level_hz])
    busy_s *= conditions.point_latency_bias * conditions.latency_factor[each][:, None]
    best_map = max(p.accuracy_map for p in POINTS)
    merit = np.array([p.accuracy_map for p in POINTS]) - min(asked.accuracy_target_map, best_map)
    per_watt = asked.weight_energy / DEVICE.p_max_w
    least_fps = asked.min_processed_fps
    blocked = busy_s * arrival_fps[:, None]
    used = asked.allow_edge * radio * (conditions.server_share[each] > 0.0)
    capacity_bps = used * conditions.capacity_bps[each]
    idle_w = DEVICE.base_w + DEVICE.beta_w + DEVICE.radio_fixed_w * (capacity_bps > 0.0)
    return Rows(
        busy_s=busy_s,
        merit=np.tile(merit, (count, 1)),
        bits=np.tile([p.upload_bits for p in POINTS], (count, 1)),
        server_s=np.tile([p.server_time_s for p in POINTS], (count, 1)),
        local_ok=(blocked <= asked.max_blocked_arrivals) | (level_hz == levels_hz[-1])[:, None],
        edge_ok=np.ones((count, len(POINTS)), dtype=np.bool_),
        busy_price=per_watt * conditions.power_bias * 1.5 * (level_hz * 1e-9) ** 3,
        bit_price=np.full(count, per_watt * 0.08e-6),
        ceiling=np.full(count, asked.utilization_ceiling),
        capacity_bps=capacity_bps,
        server_share=conditions.server_share[each],
        arrival_fps=np.maximum(arrival_fps, 1e-12),
        fixed_cost=per_watt * idle_w,
        worth=RateWorth(
            asked.weight_rate / rate_utility_scale(asked.full_rate_fps),
            least_fps,
            asked.weight_rate / least_fps if least_fps > 0.0 else 0.0,
        ),
    )


@given(seeds, wishes)
@settings(max_examples=60, deadline=None)
def test_cost_is_the_least_over_all_levels_by_a_general_solver(
    seed: int, asked: ControlSettings
) -> None:
    conditions = conditions_of(seed)
    rows = rows_of(conditions, asked)
    problem = rows.problem()
    hint, _ = solve_constrained(problem, 60)  # any tangent is a bound; these are tight ones
    hint_fps = sum(rates_fps.sum(axis=1) for rates_fps in rows.rates(problem, hint))
    guess_fps = np.concatenate([hint_fps[:, None], np.tile(TANGENTS_FPS, (len(hint_fps), 1))], 1)
    below, _ = least_cost(rows, np.zeros(len(hint_fps)), guess_fps, constrained=True)
    least = below.reshape(FEW, -1).min(axis=1)
    assert oracle_cost(conditions, PROFILE, asked) == pytest.approx(least, abs=1e-6)


@given(seeds, wishes)
@settings(max_examples=60, deadline=None)
def test_no_decision_that_meets_the_target_costs_less(seed: int, asked: ControlSettings) -> None:
    """Random decisions in the world, those kept that end within every limit."""
    slots = 60
    conditions = conditions_of(seed, slots)
    least = oracle_cost(conditions, PROFILE, asked)
    table = true_table(conditions, PROFILE, asked)
    rng = np.random.default_rng([seed, 7])
    world = World(conditions, PROFILE, asked)
    best_map = max(p.accuracy_map for p in POINTS)
    for slot in range(slots):
        arrival_fps = float(conditions.arrival_fps[slot])
        shares = rng.dirichlet(np.full(2 * len(POINTS) + 1, 0.3))[:-1] * arrival_fps
        local_fps, edge_fps = shares[: len(POINTS)], shares[len(POINTS) :] * asked.allow_edge
        level = int(rng.integers(4))
        decision = compose(table, local_fps, edge_fps, level, slot=slot, arrival_fps=arrival_fps,
                           settings=asked)  # fmt: skip
        state = world.step(decision, slot)
        local_s = conditions.latency_factor[slot] * table.local_s[level]
        blocks = {
            p.model for p, s in zip(POINTS, local_s, strict=True)
            if s * arrival_fps > asked.max_blocked_arrivals and level < 3
        }  # fmt: skip
        ran_here = {a.model for a in state.processed if a.origin == 0}
        fits = state.gpu_utilization <= asked.utilization_ceiling and not ran_here & blocks
        processed_fps = state.processed_local_fps + state.processed_edge_fps
        excess_map = max(0.0, asked.accuracy_target_map - best_map)  # nobody reaches it
        if fits and state.constraint - excess_map * processed_fps <= 0.0:
            assert state.cost >= least[slot] - 1e-9


@given(seeds, wishes)
@settings(max_examples=20, deadline=None)
def test_the_plan_played_costs_what_it_says_and_meets_the_target(
    seed: int, asked: ControlSettings
) -> None:
    asked = dataclasses.replace(asked, accuracy_target_map=min(asked.accuracy_target_map, 0.64))
    conditions = conditions_of(seed, 40)
    # Below what lets a probe through, the world has no uplink at all.
    conditions = dataclasses.replace(
        conditions, capacity_bps=np.where(conditions.capacity_bps < 3e4, 0.0,
                                          conditions.capacity_bps)
    )  # fmt: skip
    policy = OraclePolicy(conditions, PROFILE, asked)
    run = simulate(policy, conditions, PROFILE, asked)
    assert run.cost == pytest.approx(policy.plan.cost, abs=1e-9)
    assert np.all(run.constraint <= 1e-9)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_slots_do_not_depend_on_one_another(seed: int) -> None:
    asked = ControlSettings(accuracy_target_map=0.5)
    conditions = conditions_of(seed, 30)
    plan = oracle_plan(conditions, PROFILE, asked)
    chosen = np.array([3, 17, 29])
    alone = dataclasses.replace(
        conditions, **{name: getattr(conditions, name)[chosen] for name in
                       ('arrival_fps', 'capacity_bps', 'server_share', 'latency_factor',
                        'ambient_c')}
    )  # fmt: skip
    assert oracle_cost(alone, PROFILE, asked) == pytest.approx(plan.cost[chosen], abs=1e-9)


@given(seeds, wishes)
@settings(max_examples=20, deadline=None)
def test_a_better_world_never_costs_more(seed: int, asked: ControlSettings) -> None:
    conditions = conditions_of(seed, 30)
    better = dataclasses.replace(
        conditions,
        capacity_bps=1.5 * conditions.capacity_bps,
        server_share=np.minimum(1.5 * conditions.server_share, 1.0),
        latency_factor=0.8 * conditions.latency_factor,
    )
    cost = oracle_cost(conditions, PROFILE, asked)
    assert np.all(oracle_cost(better, PROFILE, asked) <= cost + 1e-9)


def test_models_that_are_not_allowed_are_not_used() -> None:
    """As if the profile had only the others; all of them where none is allowed."""
    conditions = conditions_of(11)
    names = sorted({p.model for p in POINTS})
    kept = [k for k, p in enumerate(POINTS) if p.model == names[0]]
    fewer = dataclasses.replace(PROFILE, points=tuple(POINTS[k] for k in kept))
    of_fewer = dataclasses.replace(
        conditions, point_latency_bias=conditions.point_latency_bias[kept]
    )
    asked = ControlSettings(accuracy_target_map=0.45)
    only = dataclasses.replace(asked, allowed_models=(names[0],))
    cost = oracle_cost(conditions, PROFILE, only)
    assert np.array_equal(cost, oracle_cost(of_fewer, fewer, asked))
    free = oracle_cost(conditions, PROFILE, asked)
    assert not np.array_equal(cost, free)
    unknown = dataclasses.replace(asked, allowed_models=('nobody',))
    assert np.array_equal(oracle_cost(conditions, PROFILE, unknown), free)
