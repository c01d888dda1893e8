"""gpu_clock_node as a process: it obeys decisions and always gives the clock back."""

from __future__ import annotations

import itertools
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from graph_harness import Graph, Observer, Process, Watch
from lifecycle_msgs.msg import Transition
from visionscaling_ros.msg import GpuState, InferenceState, SlotDecision

from visionscaling_ros.hardware.clocks.emulated_gpu_clock import (
    AGX_ORIN_FREQUENCIES_HZ,
    EmulatedGpuClock,
)
from visionscaling_ros.nodes.topics import DECISION_QOS

NODE = '/gpu_clock_node'


class Robot:
    """gpu_clock_node on an emulated clock that somebody had set to 918 MHz before."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.register = graph.folder / 'register'
        self.clock = EmulatedGpuClock(self.register)
        self.clock.set_frequency(918e6)
        self.found = self.clock.state()
        self.observer: Observer = graph.observer
        self.states: Watch = self.observer.watch('gpu_state', GpuState)
        self._decisions = self.observer.advertise(SlotDecision, 'slot_decision', DECISION_QOS)

    def start(self, **parameters: Any) -> Process:
        defaults = {
            'backend': 'emulated',
            'register_file': str(self.register),
            'power_backend': 'model',
        }
        self.states.clear()
        process = self.graph.start('gpu_clock_node', parameters={**defaults, **parameters})
        self.states.wait()
        return process

    def decide(self, frequency_hz: float, slot: int = 1) -> None:
        self._decisions.publish(SlotDecision(slot=slot, gpu_frequency_hz=frequency_hz))

    def wait_for_clock(self, frequency_hz: float) -> GpuState:
        self.states.clear()
        return self.states.wait(lambda state: state.frequency_hz == frequency_hz)


@pytest.fixture
def robot(graph: Graph) -> Robot:
    return Robot(graph)


def test_a_decision_sets_the_clock_rounded_up_to_a_level(robot: Robot) -> None:
    robot.start()
    state = robot.states.wait(lambda state: len(state.available_frequencies_hz))
    assert state.backend == 'emulated'
    assert tuple(state.available_frequencies_hz) == AGX_ORIN_FREQUENCIES_HZ
    robot.decide(550e6)
    state = robot.wait_for_clock(612e6)
    assert state.requested_frequency_hz == 550e6
    assert state.slowdown == pytest.approx(1300.5 / 612)
    assert state.power_source == 'model'
    assert robot.clock.frequency_hz() == 612e6


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_restores_what_was_found(robot: Robot, number: signal.Signals) -> None:
    node = robot.start()
    robot.decide(306e6)
    robot.wait_for_clock(306e6)
    assert node.stop(number) == 0
    assert robot.clock.state() == robot.found


def test_kill_9_is_undone_at_the_next_start(robot: Robot) -> None:
    node = robot.start(decision_timeout_s=60.0)
    robot.decide(306e6)
    robot.wait_for_clock(306e6)
    node.kill()
    assert robot.clock.frequency_hz() == 306e6
    successor = robot.start(autostart=True)
    successor.wait_for_output('restored')
    assert successor.stop() == 0
    assert robot.clock.state() == robot.found


def test_without_fresh_decisions_the_clock_is_given_back(robot: Robot) -> None:
    robot.start(decision_timeout_s=1.0)
    robot.decide(306e6)
    robot.wait_for_clock(306e6)
    assert robot.wait_for_clock(918e6).requested_frequency_hz == 0.0
    status = robot.observer.wait_for_diagnostics(NODE, lambda s: s.level != DiagnosticStatus.OK)
    assert status.level == DiagnosticStatus.WARN
    assert 'no fresh slot_decision' in status.message
    robot.decide(408e6)
    robot.wait_for_clock(408e6)


def test_zero_leaves_the_clock_to_the_device(robot: Robot) -> None:
    robot.start(decision_timeout_s=60.0)
    robot.decide(306e6)
    robot.wait_for_clock(306e6)
    robot.decide(0.0)
    robot.wait_for_clock(918e6)
    robot.observer.wait_for_diagnostics(NODE, lambda s: s.level == DiagnosticStatus.OK)


def test_a_decision_that_makes_no_sense_changes_nothing(robot: Robot) -> None:
    robot.start(decision_timeout_s=60.0)
    robot.decide(510e6)
    robot.wait_for_clock(510e6)
    for slot, frequency_hz in enumerate((-1.0, math.nan, math.inf), 7):
        robot.decide(frequency_hz, slot=slot)
        robot.observer.wait_for_diagnostics(
            NODE, lambda s, slot=slot: f'slot_decision {slot} refused' in s.message
        )
    assert robot.clock.frequency_hz() == 510e6
    robot.decide(612e6, slot=10)
    robot.wait_for_clock(612e6)
    robot.observer.wait_for_diagnostics(NODE, lambda s: s.level == DiagnosticStatus.OK)


def test_deactivating_restores_and_activating_obeys_again(robot: Robot) -> None:
    robot.start(decision_timeout_s=60.0)
    robot.decide(306e6)
    robot.wait_for_clock(306e6)
    assert robot.observer.change_state(NODE, Transition.TRANSITION_DEACTIVATE)
    assert robot.clock.state() == robot.found
    robot.observer.wait_for_diagnostics(NODE, lambda s: 'not active' in s.message)
    assert robot.observer.change_state(NODE, Transition.TRANSITION_CLEANUP)
    assert robot.observer.change_state(NODE, Transition.TRANSITION_CONFIGURE)
    assert robot.observer.change_state(NODE, Transition.TRANSITION_ACTIVATE)
    robot.decide(408e6)
    robot.wait_for_clock(408e6)


def test_bounds_hold_whatever_is_decided_and_follow_at_once(robot: Robot) -> None:
    robot.start(decision_timeout_s=60.0, min_frequency_hz=400e6, max_frequency_hz=1e9)
    robot.decide(1.3e9)
    robot.wait_for_clock(918e6)
    robot.decide(1.0)
    robot.wait_for_clock(408e6)
    assert robot.observer.set_parameter(NODE, 'min_frequency_hz', 600e6).successful
    robot.wait_for_clock(612e6)


BAD_VALUES = [
    ('max_frequency_hz', 1e6, '306000000.0'),
    ('min_frequency_hz', -1.0, 'Min: 0.0'),
    ('decision_timeout_s', 0.0, 'Max: 60.0'),
    ('power_model_alpha_w_per_ghz3', -2.0, 'Max: 1000.0'),
    ('backend', 'nvml', 'read-only'),
]


def test_bad_parameters_are_refused_with_what_is_allowed(robot: Robot) -> None:
    robot.start()
    for name, value, allowed in BAD_VALUES:
        before = robot.observer.get_parameter(NODE, name)
        answer = robot.observer.set_parameter(NODE, name, value)
        assert not answer.successful
        assert allowed in answer.reason
        assert robot.observer.get_parameter(NODE, name) == before


def test_a_bad_parameter_at_start_is_named_and_the_default_stays(robot: Robot) -> None:
    process = robot.start(decision_timeout_s=-5.0)
    process.wait_for_output('decision_timeout_s')
    assert robot.observer.get_parameter(NODE, 'decision_timeout_s') == 3.0


def test_a_second_node_on_the_same_clock_leaves_it_alone_and_says_so(robot: Robot) -> None:
    first = robot.start(decision_timeout_s=60.0)
    robot.decide(306e6)
    robot.wait_for_clock(306e6)
    robot.graph.start(
        'gpu_clock_node',
        namespace='/other',
        parameters={'backend': 'emulated', 'register_file': str(robot.register)},
    ).wait_for_output(str(first.pid))
    other = robot.observer.advertise(SlotDecision, '/other/slot_decision', DECISION_QOS)
    other.publish(SlotDecision(gpu_frequency_hz=816e6))
    status = robot.observer.wait_for_diagnostics(
        '/other/gpu_clock_node', lambda s: s.level == DiagnosticStatus.ERROR
    )
    assert f'process {first.pid}' in status.message
    assert robot.clock.frequency_hz() == 306e6


def test_a_register_that_cannot_be_written_is_an_error_not_a_crash(
    robot: Robot, tmp_path: Path
) -> None:
    node = robot.start(decision_timeout_s=60.0, register_file='/proc/register')
    robot.decide(306e6)
    status = robot.observer.wait_for_diagnostics(NODE, lambda s: s.level == DiagnosticStatus.ERROR)
    assert '/proc/register' in status.message
    assert node.running


def test_auto_finds_no_clock_and_leaves_the_gpu_alone(robot: Robot) -> None:
    robot.start(backend='auto', decision_timeout_s=60.0)
    robot.decide(306e6)
    status = robot.observer.wait_for_diagnostics(NODE, lambda s: s.level == DiagnosticStatus.OK)
    assert 'left to the device' in status.message
    state = robot.states.wait(lambda s: s.requested_frequency_hz == 306e6)
    assert math.isnan(state.frequency_hz)
    assert list(state.available_frequencies_hz) == []
    assert state.power_source == 'model at 1000 MHz'
    assert robot.clock.state() == robot.found


def test_utilisation_follows_the_counter_and_survives_its_restart(robot: Robot) -> None:
    robot.start(decision_timeout_s=60.0)
    publisher = robot.observer.advertise(InferenceState, 'inference_state', 10)
    tick: dict[str, float] = {'busy_s': 100.0}

    def report() -> None:
        tick['busy_s'] += 0.05
        publisher.publish(InferenceState(gpu_busy_s=tick['busy_s']))

    timer = robot.observer.every(0.1, report)
    busy: Callable[[GpuState], bool] = lambda s: 0.2 < s.utilization < 0.8  # noqa: E731
    robot.states.wait(busy)
    tick['busy_s'] = 0.0  # inference_node started again
    robot.states.clear()
    robot.states.wait(busy)
    robot.observer.stop(timer)
    states = robot.states.messages
    assert all(0.0 <= s.utilization <= 1.0 for s in states)
    assert all(a.energy_j <= b.energy_j for a, b in itertools.pairwise(states))
