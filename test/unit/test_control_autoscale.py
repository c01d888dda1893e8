"""AutoScale: its reward, its table, what it learns and how it is kept."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from control_examples import DEVICE, MIDDLE, POINTS, SETTINGS, forecast, play, played
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control.policies.autoscale import AutoscalePolicy, reward
from visionscaling_ros.control.policies.corunner import CoRunner
from visionscaling_ros.control.policies.q_table import QTable
from visionscaling_ros.datatypes import Allocation, Origin, SlotState
from visionscaling_ros.errors import InvalidValueError

PLAIN = {
    'energy_j': 0.5,
    'latency_s': 0.04,
    'accuracy_map': 0.6,
    'latency_target_s': 0.05,
    'accuracy_target_map': 0.5,
}


@pytest.mark.parametrize(
    ('changes', 'value'),
    [
        ({}, -0.5 + 0.1 * 0.04 + 0.1 * 0.6),
        ({'latency_s': 0.06}, -0.5 + 0.1 * 0.6),
        ({'latency_s': math.nan}, -0.5 + 0.1 * 0.6),
        ({'accuracy_map': 0.4}, 0.4 - 100.0),
        ({'energy_j': math.inf}, -100.0),
    ],
)
def test_the_reward_is_the_one_described(changes: dict[str, float], value: float) -> None:
    assert reward(**(PLAIN | changes)) == pytest.approx(value)


def shares_at_edge(policy: AutoscalePolicy, slots: int, **world: float) -> float:
    history = play(policy, slots, **world)
    edge = [all(a.origin is Origin.EDGE for a in d.allocations) for d, _ in history]
    return sum(edge) / slots


def test_the_better_of_two_places_is_learned_against_the_profile() -> None:
    """The profile prefers the edge; it is not told that something makes the radio dear."""
    one_clock = dataclasses.replace(DEVICE, available_frequencies_hz=(1.3e9,))
    asked = forecast(operating_points=(MIDDLE,), device=one_clock)
    policy = AutoscalePolicy(SETTINGS)
    first = policy.decide(asked)
    assert {a.origin for a in first.allocations} == {Origin.EDGE}
    places = []
    for slot in range(200):
        decision = policy.decide(dataclasses.replace(asked, slot=slot))
        at_edge = decision.allocations[0].origin is Origin.EDGE
        state = played(decision)
        policy.observe(dataclasses.replace(state, power_w=state.power_w + 9.0 * at_edge))
        places.append(at_edge)
    assert sum(places[20:]) / 180 < 0.15  # what is left of it is exploration
    assert any(places[20:])


def test_what_the_profile_expects_is_where_it_starts() -> None:
    demanding = dataclasses.replace(SETTINGS, accuracy_target_map=0.6)
    assert shares_at_edge(AutoscalePolicy(demanding), 20, capacity_bps=4e6) > 0.7
    assert shares_at_edge(AutoscalePolicy(demanding), 20, capacity_bps=2e5) == 0.0


def test_another_seed_explores_otherwise_and_the_same_one_alike() -> None:
    def played_with(seed: int) -> list[tuple[Allocation, ...]]:
        policy = AutoscalePolicy(dataclasses.replace(SETTINGS, seed=seed))
        return [d.allocations for d, _ in play(policy, 100, capacity_bps=4e6)]

    assert played_with(1) == played_with(1)
    assert played_with(1) != played_with(2)


def test_a_tenth_of_the_slots_explores() -> None:
    policy = AutoscalePolicy(dataclasses.replace(SETTINGS, allowed_models=('m',)))
    history = play(policy, 2000, arrival_fps=5.0)
    clocks = [d.gpu_frequency_hz for d, _ in history[100:]]
    usual = max(set(clocks), key=clocks.count)
    others = sum(clock != usual for clock in clocks) / len(clocks)
    assert 0.04 < others < 0.1  # some of the random actions are the usual one


def test_a_slot_that_ran_something_else_teaches_nothing() -> None:
    policy = AutoscalePolicy(SETTINGS)
    decision = policy.decide(forecast())
    before = policy.save_state()['values']
    other = (Allocation('n', 160, Origin.LOCAL, 15.0),)
    policy.observe(dataclasses.replace(played(decision), processed=other, power_w=99.0))
    policy.decide(forecast())
    after = policy.save_state()['values']
    assert {state: after[state] for state in before} == before


def test_what_was_learned_survives_a_restart() -> None:
    policy = AutoscalePolicy(SETTINGS)
    play(policy, 300, capacity_bps=4e6, slowdown=1.3)
    written = json.dumps(policy.save_state(), allow_nan=False)
    restarted = AutoscalePolicy(SETTINGS)
    restarted.load_state(json.loads(written))
    assert restarted.save_state() == policy.save_state()
    decision = restarted.decide(forecast())
    assert decision.policy == 'autoscale'
    assert json.dumps(restarted.save_state(), allow_nan=False) == written


def test_learned_values_move_with_their_action_to_another_set() -> None:
    policy = AutoscalePolicy(SETTINGS)
    play(policy, 100, arrival_fps=5.0)
    learned = policy.save_state()
    few = dataclasses.replace(DEVICE, available_frequencies_hz=(3e8, 9e8))
    asked = forecast(
        arrival_fps=5.0, capacity_bps=0.0, edge_reachable=False, device=few
    )
    policy.decide(asked)
    kept = policy.save_state()
    assert len(kept['actions']) < len(learned['actions'])
    assert all(action in learned['actions'] for action in kept['actions'])
    for state, row in kept['values'].items():
        for action, value in zip(kept['actions'], row, strict=True):
            assert value == learned['values'][state][learned['actions'].index(action)]


GOOD: dict[str, Any] = {
    'version': 1,
    'actions': [['s', 320, 'local', 6e8], ['s', 320, 'edge', 0.0]],
    'values': {'0000': [-0.5, None]},
}


@pytest.mark.parametrize(
    ('changes', 'name'),
    [
        ({'version': 2}, 'state.version'),
        ({'actions': None}, 'state.actions'),
        ({'actions': [['s', 320, 'local', 6e8]] * 2}, 'state.actions'),
        ({'actions': [['s', 320, 'moon', 6e8]]}, 'state.actions[0]'),
        ({'actions': [['s', 0, 'edge', 6e8]]}, 'state.actions[0]'),
        ({'actions': [['s', 320, 'local', math.nan]]}, 'state.actions[0]'),
        ({'actions': [['s', 320]]}, 'state.actions[0]'),
        ({'values': []}, 'state.values'),
        ({'values': {'0000': [0.0]}}, "state.values['0000']"),
        ({'values': {'0000': [0.0, 'x']}}, "state.values['0000']"),
        ({'values': {'0000': [0.0, math.inf]}}, "state.values['0000']"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_by_name(
    changes: dict[str, Any], name: str
) -> None:
    policy = AutoscalePolicy(SETTINGS)
    policy.load_state(GOOD)
    with pytest.raises(InvalidValueError) as caught:
        policy.load_state(GOOD | changes)
    assert caught.value.name == name
    assert policy.save_state() == GOOD  # nothing has changed


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(json_like, json_like)
@settings(max_examples=200, deadline=None)
def test_any_document_is_loaded_or_refused(actions: object, values: object) -> None:
    document = {'version': 1, 'actions': actions, 'values': values}
    for each in (document, actions):
        try:
            table = QTable.load(each)
        except InvalidValueError:
            continue
        assert QTable.load(table.save()).save() == table.save()


def busy_state(busy: float, rate_fps: float) -> SlotState:
    return SlotState(
        slot=0,
        duration_s=1.0,
        gpu_frequency_hz=6e8,
        gpu_utilization=busy,
        processed=(Allocation('s', 320, Origin.LOCAL, rate_fps),),
        operating_points=POINTS,
    )


def test_the_co_runner_is_what_the_frames_do_not_explain() -> None:
    co_runner = CoRunner()
    own = 10.0 * MIDDLE.local_latency_s(6e8)
    co_runner.observe(busy_state(own, 10.0))
    assert co_runner.use == pytest.approx(0.0)
    co_runner.observe(busy_state(2.0 * own, 10.0))
    assert co_runner.use == pytest.approx(0.5)
    for silent in (busy_state(math.nan, 10.0), busy_state(0.5, 0.0), busy_state(0.5, math.nan)):
        co_runner.observe(silent)
    assert co_runner.use == pytest.approx(0.5)
