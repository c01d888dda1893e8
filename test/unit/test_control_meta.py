"""The default policy in small worlds: little regret, the target met, few switches."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from visionscaling_ros.control import ControlSettings, Forecaster, Policy, make_policy
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.oracle import oracle_cost
from visionscaling_ros.simulation.profile import load_profile
from visionscaling_ros.simulation.runner import Run, simulate
from visionscaling_ros.simulation.scenarios import make_conditions
from visionscaling_ros.simulation.world import World

PROFILE = load_profile('agx_orin')
SETTINGS = ControlSettings(
    accuracy_target_map=PROFILE.accuracy_target_map, full_rate_fps=PROFILE.full_rate_fps
)
META, PUBLISHED = 'visionscaling_meta', 'visionscaling'
SLOTS = 600
EARLY = SLOTS // 4
WORLDS = tuple((scenario, seed) for scenario in ('steady', 'slow_drift') for seed in (1, 2))
SHORTFALL_MAP = 0.003

Runs = dict[tuple[str, str, int], tuple[Run, np.ndarray]]


@pytest.fixture(scope='module')
def runs() -> Runs:
    """Runs of both policies and the regret after each slot, by policy and world."""
    played = {}
    for scenario, seed in WORLDS:
        conditions = make_conditions(scenario, profile=PROFILE, slots=SLOTS, seed=seed)
        least = oracle_cost(conditions, PROFILE, SETTINGS)
        for name in (META, PUBLISHED):
            run = simulate(make_policy(name, SETTINGS), conditions, PROFILE, SETTINGS)
            played[name, scenario, seed] = run, np.cumsum(run.cost - least)
    return played


@pytest.mark.parametrize(('scenario', 'seed'), WORLDS)
def test_regret_and_fit_grow_slower_than_time(runs: Runs, scenario: str, seed: int) -> None:
    run, regret = runs[META, scenario, seed]
    fit = np.maximum(np.cumsum(run.constraint), 0.0)
    # What a single slot costs is no growth.
    for grown, a_slot in ((regret, 0.1), (fit, 2.0)):
        early, late = max(grown[EARLY - 1], 0.0), max(grown[-1], 0.0)
        exponent = math.log((late + a_slot) / (early + a_slot)) / math.log(SLOTS / EARLY)
        assert exponent < 0.9


@pytest.mark.parametrize(('scenario', 'seed'), WORLDS)
def test_the_target_is_met_almost_from_the_start(runs: Runs, scenario: str, seed: int) -> None:
    run, _ = runs[META, scenario, seed]
    short = np.cumsum(run.constraint) / np.cumsum(run.processed_fps)
    assert np.all(short[20:] < SHORTFALL_MAP)
    assert np.all(np.isfinite(run.multiplier))


@pytest.mark.parametrize(('scenario', 'seed'), WORLDS)
def test_costs_less_than_one_learner_alone(runs: Runs, scenario: str, seed: int) -> None:
    run, regret = runs[META, scenario, seed]
    published, its_regret = runs[PUBLISHED, scenario, seed]
    assert run.cost.sum() < published.cost.sum()
    assert regret[-1] < 0.6 * its_regret[-1]


@pytest.mark.parametrize('seed', [1, 2])
def test_a_steady_world_is_left_alone(runs: Runs, seed: int) -> None:
    run, _ = runs[META, 'steady', seed]
    assert run.switched[SLOTS // 2 :].mean() < 0.25


# ---- slot by slot


def still_world(slots: int, **series: np.ndarray) -> Conditions:
    """Nothing changes at all, but for what is asked; a profile that is a little wrong."""
    usual = {
        'arrival_fps': PROFILE.arrival_fps, 'capacity_bps': 4e6, 'server_share': 1.0,
        'latency_factor': 1.0, 'ambient_c': 25.0,
    }  # fmt: skip
    return Conditions(
        trace='made', scenario='made', seed=0, slot_s=1.0,
        point_latency_bias=np.linspace(0.95, 1.05, len(PROFILE.points)), power_bias=1.03,
        **{name: np.broadcast_to(np.asarray(series.get(name, value), float), slots).copy()
           for name, value in usual.items()},
    )  # fmt: skip


def loop(
    policy: Policy,
    conditions: Conditions,
    change: Callable[[int, ControlSettings], ControlSettings] = lambda _, asked: asked,
) -> Iterator[tuple[SlotDecision, SlotState]]:
    """As ``controller_node`` runs it, settings changed on the fly."""
    asked = SETTINGS
    world, forecaster = World(conditions, PROFILE, asked), Forecaster(asked, 1.0)
    forecaster.observe(world.start())
    policy.observe(world.start())
    for slot in range(len(conditions)):
        asked = change(slot, asked)
        if asked is not policy.settings:
            policy.settings = forecaster.settings = asked
        decision = policy.decide(forecaster.forecast(slot, PROFILE.device))
        state = world.step(decision, slot)
        forecaster.observe(state, decision)
        policy.observe(state)
        yield decision, state


def mean_map(states: list[SlotState]) -> float:
    """Rate-weighted accuracy of what ran."""
    accuracy = {(p.model, p.input_size_px): p.accuracy_map for p in PROFILE.points}
    ran = [a for state in states for a in state.processed]
    merit = sum(a.rate_fps * accuracy[a.model, a.input_size_px] for a in ran)
    return merit / sum(a.rate_fps for a in ran)


def kinds(decision: SlotDecision) -> tuple[object, ...]:
    """What is run where, at which clock."""
    used = {(a.model, a.input_size_px, a.origin) for a in decision.allocations}
    return (decision.gpu_frequency_hz, frozenset(used))


def switches(switching_cost: float, slots: int = 300) -> int:
    """In the last 200 slots of a world with nothing but noisy arrivals."""
    noise = 1.0 + 0.03 * np.random.default_rng(5).standard_normal(slots)
    conditions = still_world(slots, arrival_fps=PROFILE.arrival_fps * noise)
    asked = dataclasses.replace(SETTINGS, switching_cost=switching_cost)
    played = loop(make_policy(META, asked), conditions, lambda *_: asked)
    seen = [kinds(decision) for decision, _ in played][-200:]
    return sum(one != other for one, other in itertools.pairwise(seen))


def test_hysteresis_keeps_what_runs() -> None:
    loose, tight = switches(0.0), switches(0.05)
    assert tight <= 0.5 * loose
    assert tight <= 10


def test_an_edge_that_is_forbidden_is_left_in_the_next_slot() -> None:
    def forbid(slot: int, asked: ControlSettings) -> ControlSettings:
        return dataclasses.replace(asked, allow_edge=False) if slot == 60 else asked

    origins = [
        {a.origin for a in decision.allocations}
        for decision, _ in loop(make_policy(META, SETTINGS), still_world(80), forbid)
    ]
    assert any(Origin.EDGE in used for used in origins[:60])
    assert all(Origin.EDGE not in used for used in origins[60:])


def test_a_higher_target_is_met_at_once() -> None:
    higher = SETTINGS.accuracy_target_map + 0.03

    def ask_more(slot: int, asked: ControlSettings) -> ControlSettings:
        return dataclasses.replace(asked, accuracy_target_map=higher) if slot == 100 else asked

    states = [
        state for _, state in loop(make_policy(META, SETTINGS), still_world(160), ask_more)
    ]
    assert mean_map(states[:100]) == pytest.approx(SETTINGS.accuracy_target_map, abs=0.02)
    assert mean_map(states[101:]) >= higher - SHORTFALL_MAP


def test_weights_count_in_the_next_slot() -> None:
    def save(slot: int, asked: ControlSettings) -> ControlSettings:
        frugal = dataclasses.replace(asked, weight_rate=0.02)
        return frugal if slot == 50 else asked

    decisions = [d for d, _ in loop(make_policy(META, SETTINGS), still_world(52), save)]
    before, after = (decisions[slot].expected_processed_fps for slot in (49, 50))
    assert after < 0.5 * before


def test_settings_replaced_lose_nothing_learned() -> None:
    def same_again(slot: int, asked: ControlSettings) -> ControlSettings:
        return dataclasses.replace(asked) if slot % 10 == 5 else asked

    conditions = make_conditions('nominal', profile=PROFILE, slots=80, seed=3)
    plain, replaced = (
        [repr(d) for d, _ in loop(make_policy(META, SETTINGS), conditions, change)]
        for change in (lambda _, asked: asked, same_again)
    )
    assert plain == replaced


def test_the_price_of_accuracy_outlasts_a_change_of_settings() -> None:
    def steadier(slot: int, asked: ControlSettings) -> ControlSettings:
        return dataclasses.replace(asked, switching_cost=0.01) if slot == 100 else asked

    prices = [d.multiplier for d, _ in loop(make_policy(META, SETTINGS), still_world(101),
                                            steadier)]  # fmt: skip
    unchanged = [d.multiplier for d, _ in loop(make_policy(META, SETTINGS), still_world(101))]
    assert max(prices) > 0.0
    assert prices == unchanged
