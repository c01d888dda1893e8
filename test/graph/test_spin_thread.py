"""A node that other threads use while its own thread spins it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from graph_harness import TIMEOUT_S, Observer
from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import String

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.nodes.spin_thread import SpinThread

PERIOD_S = 0.002
ROUNDS = 100


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns so often that what can come between two steps does."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.fixture
def node(graph: Any) -> Iterator[Node]:
    context = Context()
    context.init(domain_id=graph.domain)
    node = Node('spun', context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.usefixtures('eager_threads')
def test_what_comes_and_goes_does_not_disturb_the_spin(graph: Any) -> None:
    observer = graph.observer
    publisher = observer.advertise(String, 'words')
    timer = observer.every(PERIOD_S, lambda: publisher.publish(String(data='word')))
    for _ in range(ROUNDS):
        assert observer.wait_for('words', String).data == 'word'
    assert observer.get_parameter('/observer', 'use_sim_time') is False
    observer.stop(timer)


def test_a_callback_that_raises_fails_who_waits_with_its_reason(graph: Any) -> None:
    observer = Observer(graph.domain)

    def spoil() -> None:
        raise ValueError('spoilt')

    watch = observer.watch('words', String)
    observer.every(PERIOD_S, spoil)
    with pytest.raises(AssertionError, match=r"words: the observer failed: ValueError\('spoilt'\)"):
        watch.wait()
    with pytest.raises(RuntimeError, match='spoilt'):
        observer.watch('other_words', String)
    with pytest.raises(RuntimeError, match='spoilt'):
        observer.close()


def test_an_action_runs_in_the_thread_and_its_error_is_the_callers(node: Node) -> None:
    spinning = SpinThread(node)
    assert spinning.run(threading.current_thread) is not threading.current_thread()
    assert spinning.run(lambda: spinning.run(lambda: 1)) == 1
    with pytest.raises(ZeroDivisionError):
        spinning.run(lambda: 1 // 0)
    assert spinning.run(lambda: 2) == 2
    spinning.close()
    with pytest.raises(RuntimeError, match='the thread of spun was closed'):
        spinning.run(lambda: 3)


def test_an_answer_that_does_not_come_is_told_from_a_service_that_is_not_there(
    node: Node,
) -> None:
    deaf = Node('deaf', context=node.context)  # spun by nobody
    assert node.create_client(GetParameters, 'deaf/get_parameters').wait_for_service(TIMEOUT_S)
    spinning = SpinThread(node)
    with pytest.raises(VisionScalingError, match='no service missing'):
        spinning.call(GetParameters, 'missing', GetParameters.Request(), 0.0)
    with pytest.raises(VisionScalingError, match='no answer from deaf/get_parameters'):
        spinning.call(GetParameters, 'deaf/get_parameters', GetParameters.Request(), 2.0)
    spinning.close()
    deaf.destroy_node()
