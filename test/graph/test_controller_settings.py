"""The controller's parameters change at run time; what it believes and learned is there to see."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from test_loop import MODELS, Robot, books_balance, free_port, start_edge_server
from visionscaling_ros.msg import InferenceState, SlotDecision, SlotState

from visionscaling_ros.control.policy import DEFAULT_POLICY, POLICY_NAMES
from visionscaling_ros.nodes import topics

CONTROLLER = '/controller_node'


@pytest.fixture
def robot(graph: Any, tmp_path: Path) -> Robot:
    """A robot without edge server whose multiplier starts at 0 and rises."""
    start = {'policy': 'visionscaling', 'initial_multiplier': 0.0, 'accuracy_target_map': 0.1}
    made = Robot(graph, free_port(), tmp_path, **start)
    made.wait(topics.SLOT_DECISION, SlotDecision, lambda d: d.slot >= 3)
    return made


def test_what_a_policy_learned_outlasts_the_controller(graph: Any, tmp_path: Path) -> None:
    file = tmp_path / 'state' / 'policies.json'
    start = {'policy': 'autoscale', 'accuracy_target_map': 0.1, 'policy_state_file': str(file)}
    robot = Robot(graph, free_port(), tmp_path, **start)
    robot.wait(topics.SLOT_DECISION, SlotDecision, lambda d: d.slot >= 5)
    assert not file.exists()
    assert robot.controller.stop() == 0
    learned = json.loads(file.read_text())
    assert learned['policies']['autoscale']['values']
    file.write_text('{"policies": {"autoscale": 3}}')
    controller = graph.start('controller_node', parameters={'slot_duration_s': 0.5, **start})
    controller.wait_for_output('policies start anew')
    assert file.with_name('policies.json.bad').exists()
    robot.wait(topics.SLOT_DECISION, SlotDecision, lambda d: d.slot >= 2)
    assert controller.stop() == 0
    file.write_text(json.dumps(learned))
    controller = graph.start('controller_node', parameters={'slot_duration_s': 0.5, **start})
    assert graph.observer.get_parameter(CONTROLLER, 'policy') == 'autoscale'  # it is up
    file.unlink()
    assert controller.stop() == 0
    kept, before = (d['policies']['autoscale'] for d in (json.loads(file.read_text()), learned))
    assert kept['values'].keys() >= before['values'].keys()


def decision_of(robot: Robot, predicate: Any) -> SlotDecision:
    return robot.wait(topics.SLOT_DECISION, SlotDecision, predicate)


def set_to(robot: Robot, **values: Any) -> None:
    for name, value in values.items():
        answer = robot.observer.set_parameter(CONTROLLER, name, value)
        assert answer.successful, answer.reason


def test_beliefs_are_published_and_follow_the_settings(robot: Robot) -> None:
    known = robot.wait(
        topics.SLOT_STATE, SlotState, lambda s: s.beliefs.arrival_fps == pytest.approx(10.0, abs=3)
    ).beliefs
    assert {p.model for p in known.operating_points} == set(MODELS)
    assert known.clock_cap_hz > 1e9
    assert 0.25 <= known.latency_factor <= 4.0
    assert 0.25 <= known.power_factor <= 4.0
    assert known.target_feasible
    assert not known.edge_usable
    refused = robot.observer.set_parameter(CONTROLLER, 'allowed_models', ['yolo'])
    assert not refused.successful
    assert 'vsdet_n, vsdet_s' in refused.reason
    set_to(robot, allowed_models=['vsdet_n'], accuracy_target_map=0.99)
    state = robot.wait(topics.SLOT_STATE, SlotState, lambda s: not s.beliefs.target_feasible)
    assert {p.model for p in state.beliefs.operating_points} == {'vsdet_n'}
    decision = decision_of(robot, lambda d: d.slot > state.slot + 1)
    assert {a.model for a in decision.allocations} == {'vsdet_n'}
    status = robot.observer.wait_for_diagnostics(CONTROLLER, lambda s: 'accurate' in s.message)
    assert 'accuracy_target_map = 0.99' in status.message


def test_a_policy_left_and_used_again_has_kept_what_it_learned(robot: Robot) -> None:
    decisions = robot.observer.watch(topics.SLOT_DECISION, SlotDecision, topics.DECISION_QOS)
    set_to(robot, accuracy_target_map=0.99, dual_step=50.0)
    learned = decisions.wait(lambda d: d.policy == 'visionscaling' and d.multiplier > 0.0)
    set_to(robot, policy='fixed')
    left = decisions.wait(lambda d: d.policy == 'fixed' and d.slot > learned.slot)
    last = [d for d in decisions.messages if d.policy == 'visionscaling'][-1]
    assert last.slot == left.slot - 1
    set_to(robot, policy='visionscaling', dual_step=0.0)
    back = decisions.wait(lambda d: d.policy == 'visionscaling' and d.slot > left.slot)
    assert back.multiplier > 0.5 * last.multiplier > 0.0
    slots = [d.slot for d in decisions.messages]
    assert slots == list(range(slots[0], slots[0] + len(slots)))  # it never stopped deciding


def test_a_change_takes_effect_in_the_next_slot_without_losing_the_multiplier(
    robot: Robot,
) -> None:
    decisions = robot.observer.watch(topics.SLOT_DECISION, SlotDecision, topics.DECISION_QOS)
    set_to(robot, accuracy_target_map=0.99, dual_step=50.0)
    decisions.wait(lambda d: d.multiplier > 0.0)
    set_to(robot, dual_step=0.0)
    before = decisions.messages[-1]
    after = decisions.wait(lambda d: d.slot > before.slot + 1)
    set_to(robot, allowed_models=['vsdet_s'])
    changed = decisions.messages[-1].slot + 1
    decision = decisions.wait(lambda d: d.slot >= changed)
    assert {a.model for a in decision.allocations} == {'vsdet_s'}
    assert after.multiplier > 0.0
    assert decision.multiplier > 0.0


def test_every_policy_takes_over_in_a_running_robot_and_nothing_is_lost(
    graph: Any, tmp_path: Path
) -> None:
    port, file = free_port(), tmp_path / 'policies.json'
    start_edge_server(graph, port)
    start = {'accuracy_target_map': 0.1, 'policy_state_file': str(file)}
    robot = Robot(graph, port, tmp_path, **start)
    decisions = robot.observer.watch(topics.SLOT_DECISION, SlotDecision, topics.DECISION_QOS)
    states = robot.observer.watch(topics.INFERENCE_STATE, InferenceState, topics.STATE_QOS)
    decisions.wait(lambda d: d.policy == DEFAULT_POLICY and d.slot >= 3)
    for name in (*POLICY_NAMES[1:], DEFAULT_POLICY):
        left = decisions.messages[-1].slot
        set_to(robot, policy=name)
        decision = decisions.wait(lambda d, n=name, s=left + 3: d.policy == n and d.slot >= s)
        assert decision.allocations, name
    slots = [d.slot for d in decisions.messages]
    assert slots == list(range(slots[0], slots[0] + len(slots)))  # it never stopped deciding
    in_turn = [d.policy for d in decisions.messages]
    assert list(dict.fromkeys(in_turn)) == list(POLICY_NAMES)  # the next slot, and none after it
    assert sum(a != b for a, b in itertools.pairwise(in_turn)) == len(POLICY_NAMES)
    assert all(books_balance(state) for state in states.messages)
    assert not any(state.fallback for state in states.messages[-20:])

    assert robot.controller.stop() == 0
    learned = json.loads(file.read_text())['policies']['autoscale']
    decisions.clear()
    controller = graph.start('controller_node', parameters={'slot_duration_s': 0.5, **start})
    decisions.wait(lambda d: d.policy == DEFAULT_POLICY)
    file.unlink()
    assert controller.stop() == 0  # autoscale was not used, and yet is not forgotten
    assert json.loads(file.read_text())['policies']['autoscale'] == learned
