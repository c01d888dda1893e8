"""What is known of robots: found, in fallback, without their controller, started again."""

from __future__ import annotations

from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from top_robot import Robot
from visionscaling_ros.msg import Allocation, SlotDecision

from visionscaling_ros.nodes.robot_watcher import RobotWatcher
from visionscaling_ros.watch.robot_view import Condition, RobotView

TIMEOUT_S = 60.0


@pytest.fixture
def watcher(graph: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A watcher in this process, in the test's domain."""
    for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE'):
        monkeypatch.setenv(name, graph.environment[name])
    with RobotWatcher() as watching:
        yield watching


def seen(watcher: RobotWatcher, namespace: str, condition: Condition) -> RobotView:
    """The robot once it is in that condition."""

    def found(views: list[RobotView]) -> list[RobotView]:
        return [v for v in views if v.namespace == namespace and v.condition is condition]

    assert watcher.wait_until(lambda views: bool(found(views)), TIMEOUT_S), watcher.views()
    return found(watcher.views())[0]


def test_a_robot_is_followed_from_its_start_to_its_end_and_back(
    graph: Any, watcher: RobotWatcher
) -> None:
    robot = Robot(graph, '/drone1')
    view = seen(watcher, '/drone1', Condition.LIVE)
    assert view.state is not None
    assert view.accuracy_target_map == pytest.approx(0.35)
    robot.fallback = True
    view = seen(watcher, '/drone1', Condition.FALLBACK)
    assert [a.model for a in view.allocations] == ['vsdet_n']
    robot.fallback = False
    seen(watcher, '/drone1', Condition.LIVE)
    robot.controller.kill()
    view = seen(watcher, '/drone1', Condition.UNDECIDED)
    assert view.slot_silence_s > view.patience_s
    robot.start_controller()
    view = seen(watcher, '/drone1', Condition.LIVE)
    assert view.restarted_s < TIMEOUT_S


def test_publishers_that_offer_less_and_messages_that_say_nothing(
    graph: Any, watcher: RobotWatcher
) -> None:
    lossy = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = graph.observer.advertise(SlotDecision, '/lossy/slot_decision', lossy)
    message = SlotDecision(policy='theirs')
    broken = graph.observer.advertise(DiagnosticArray, '/diagnostics')
    cut_off = serialize_message(DiagnosticArray(status=[DiagnosticStatus(name='x' * 40)]))[:30]
    graph.observer.every(0.1, lambda: broken.publish(cut_off))
    graph.observer.every(0.1, lambda: publisher.publish(message))
    assert seen(watcher, '/lossy', Condition.STARTING).namespace == '/lossy'
    assert watcher.wait_until(lambda views: views[0].decision is not None, TIMEOUT_S)
    message.allocations = [Allocation(origin=9)]  # there is no such origin
    assert watcher.wait_until(lambda views: views[0].not_understood > 0, TIMEOUT_S)
