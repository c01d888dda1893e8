"""What is known of a robot while its messages come, stop, and come again."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watch_examples import EDGE, HERE, NUMBERS, STATES, decided, measured

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.watch.readings import (
    ERROR,
    WARN,
    InferenceReading,
    Status,
    robot_of_status,
    status_reading,
)
from visionscaling_ros.watch.robot_view import Condition, RobotView
from visionscaling_ros.watch.watched_robot import WatchedRobot


def robot_at_work(until_s: float = 10.0) -> WatchedRobot:
    """A robot that has told everything once a second, the last time at ``until_s``."""
    robot = WatchedRobot('/drone1')
    robot.present = True
    robot.heard_settings(ControlSettings(), 0.0)
    for second in range(int(until_s) + 1):
        robot.heard_inference(InferenceReading(100.0 + second), float(second))
        robot.heard_state(measured(slot=second), float(second))
        robot.heard_decision(decided(slot=second + 1), float(second))
    return robot


def test_a_robot_at_work_is_live_and_its_figures_are_those_of_its_messages() -> None:
    view = robot_at_work().view(10.5)
    assert view.condition is Condition.LIVE
    assert view.processed_fps == pytest.approx(14.9)
    assert view.energy_per_frame_j == pytest.approx(6.21 / 14.9)
    assert view.main_drop_reason == 'superseded'
    assert view.accuracy_target_map == 0.35
    assert set(view.allocations) == {HERE, EDGE}
    assert len(view.history) == 11
    assert view.history[-1].capacity_bps == 5.1e6


def test_a_robot_that_says_nothing_for_three_slots_is_silent_and_then_gone() -> None:
    robot = robot_at_work()
    assert robot.view(12.9).condition is Condition.LIVE
    silent = robot.view(13.1)
    assert silent.condition is Condition.SILENT
    assert silent.silence_s == pytest.approx(3.1)
    robot.present = False
    assert robot.view(13.1).condition is Condition.GONE
    robot.present = True
    robot.heard_state(measured(slot=11), 14.0)
    assert robot.view(14.0).condition is Condition.LIVE
    assert math.isnan(robot.view(14.0).history[-2].power_w)  # the gap shows


def test_a_robot_of_long_slots_is_given_longer() -> None:
    robot = robot_at_work()
    robot.heard_state(measured(slot=11, duration_s=10.0), 20.0)
    assert robot.view(45.0).condition is Condition.LIVE
    assert robot.view(51.0).condition is Condition.SILENT


def test_a_controller_that_stops_is_told_from_a_robot_that_stops() -> None:
    robot = robot_at_work()
    robot.heard_inference(InferenceReading(115.0), 15.0)
    assert robot.view(15.1).condition is Condition.UNDECIDED
    assert robot.view(15.1).slot_silence_s == pytest.approx(5.1)


def test_in_fallback_what_runs_is_what_inference_tells() -> None:
    robot = robot_at_work()
    robot.heard_inference(InferenceReading(111.0, fallback=True, allocations=(HERE,)), 11.0)
    view = robot.view(11.1)
    assert view.condition is Condition.FALLBACK
    assert view.allocations == (HERE,)


def test_a_restart_shows_by_slots_that_begin_anew_or_by_uptime() -> None:
    robot = robot_at_work()
    assert robot.view(10.0).restarted_s == math.inf
    robot.heard_state(measured(slot=0), 11.0)
    assert robot.view(13.0).restarted_s == pytest.approx(2.0)
    robot.heard_inference(InferenceReading(1.0), 12.0)
    assert robot.view(13.0).restarted_s == pytest.approx(1.0)


def test_warnings_last_as_long_as_they_are_repeated_and_outlast_their_robot() -> None:
    robot = robot_at_work(5.0)
    robot.heard_status(Status('camera_node', WARN, 'no frames'), 1.0)
    robot.heard_status(Status('inference_node', ERROR, 'no model'), 5.0)
    view = robot.view(5.0)
    assert view.condition is Condition.ERROR
    assert [s.level for s in view.warnings] == [ERROR, WARN]
    assert [s.words for s in robot.view(100.0).warnings] == ['no model', 'no frames']
    robot.heard_state(measured(slot=6), 12.0)
    assert [s.words for s in robot.view(12.0).warnings] == ['no model']


def test_a_robot_never_heard_of_is_not_there() -> None:
    view = WatchedRobot('/drone9').view(5.0)
    assert view.condition is Condition.GONE
    assert view.silence_s == math.inf
    assert math.isnan(view.processed_fps)
    assert math.isnan(view.energy_per_frame_j)
    assert math.isnan(view.capacity_bps)
    assert view.allocations == ()


def test_the_history_is_of_the_last_minute() -> None:
    robot = robot_at_work(200.0)
    assert len(robot.view(200.5).history) == 60


def diagnostic(name: str, hardware_id: str, level: object = b'\x01') -> SimpleNamespace:
    return SimpleNamespace(name=name, hardware_id=hardware_id, level=level, message='words')


@pytest.mark.parametrize(
    ('name', 'hardware_id', 'namespace', 'node'),
    [
        ('/drone1/inference_node', '/drone1', '/drone1', 'inference_node'),
        ('/a/b/gpu_clock_node: power', '/a/b', '/a/b', 'gpu_clock_node: power'),
        ('/camera_node', '/', '', 'camera_node'),
        ('joystick', 'usb', None, 'joystick'),
        ('joystick', '', None, 'joystick'),
        ('/drone10/camera_node', '/drone1', None, 'drone10/camera_node'),
    ],
)
def test_a_status_is_its_robots(
    name: str, hardware_id: str, namespace: str | None, node: str
) -> None:
    message = diagnostic(name, hardware_id)
    assert robot_of_status(message) == namespace
    assert status_reading(message) == Status(node, WARN, 'words')
    assert status_reading(diagnostic(name, hardware_id, 1)).level == WARN


@given(st.lists(st.tuples(STATES, st.floats(0.0, 1e9)), max_size=5), NUMBERS)
def test_nothing_it_is_told_makes_it_fail(told: list[tuple[SlotState, float]], now: float) -> None:
    robot = WatchedRobot('')
    now_s = 0.0
    for state, later_s in told:
        now_s += later_s
        robot.heard_state(state, now_s)
    view = robot.view(now_s)
    assert isinstance(view, RobotView)
    assert view.condition in Condition
    assert view.patience_s >= 3.0
    assert view.main_drop_reason in {'', *(view.state.drop_counts if view.state else ())}
