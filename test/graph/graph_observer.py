"""Watches, publishes and calls from within the test's own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from visionscaling_ros.nodes.spin_thread import SpinThread

TIMEOUT_S = 30.0  # generous: other tests share the machine


class Watch:
    """Messages of a topic, in the order they came."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._changed = threading.Condition()
        self._messages: list[Any] = []
        self._failure: BaseException | None = None

    def take(self, message: Any) -> None:
        """Callback of the subscription."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """No message will come any more."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    @property
    def messages(self) -> list[Any]:
        """All that came so far."""
        with self._changed:
            return list(self._messages)

    def clear(self) -> None:
        """Forget what came so far."""
        with self._changed:
            self._messages.clear()

    def wait(
        self, predicate: Callable[[Any], object] = lambda _: True, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """The first message, old or new, the predicate is true of."""
        deadline_s = time.monotonic() + timeout_s
        seen = 0
        with self._changed:
            while True:
                for message in self._messages[seen:]:
                    if predicate(message):
                        return message
                seen = len(self._messages)
                if self._failure is not None:
                    raise AssertionError(
                        f'{self._topic}: the observer failed: {self._failure!r}'
                    ) from self._failure
                left_s = deadline_s - time.monotonic()
                if left_s <= 0.0:
                    last = self._messages[-1] if self._messages else None
                    raise AssertionError(
                        f'{self._topic}: none of {seen} messages fits; the last: {last}'
                    )
                self._changed.wait(left_s)


class Observer:
    """A node in the test's own process that watches, publishes and calls services.

    What it makes and destroys it does in the thread that spins it, as ``SpinThread`` says.
    """

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node('observer', context=self._context)
        self._watches: list[Watch] = []
        self._spinning = SpinThread(self.node, self._fail)

    def _fail(self, error: BaseException) -> None:
        for watch in list(self._watches):
            watch.fail(error)

    def close(self) -> None:
        """Stop and leave the graph; raises what had ended it before."""
        try:
            self._spinning.close()
        finally:
            self.node.destroy_node()
            self._context.try_shutdown()

    def advertise(self, message_type: Any, topic: str, qos: QoSProfile | int = 10) -> Publisher:
        """A publisher."""
        return self._spinning.run(lambda: self.node.create_publisher(message_type, topic, qos))

    def withdraw(self, publisher: Publisher) -> None:
        """Destroy a publisher, and with it what it keeps for those that come later."""
        self._spinning.run(lambda: self.node.destroy_publisher(publisher))

    def every(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback``, in the observer's thread, until ``stop``."""
        return self._spinning.run(lambda: self.node.create_timer(period_s, callback))

    def stop(self, timer: Timer) -> None:
        """From here on its callback is not called."""
        self._spinning.run(lambda: self.node.destroy_timer(timer))

    def watch(self, topic: str, message_type: Any, qos: QoSProfile | int = 10) -> Watch:
        """Collect the messages of a topic from now on."""
        return self._watch(topic, message_type, qos)[0]

    def _watch(
        self, topic: str, message_type: Any, qos: QoSProfile | int
    ) -> tuple[Watch, Subscription]:
        watch = Watch(topic)
        self._watches.append(watch)
        return watch, self._spinning.run(
            lambda: self.node.create_subscription(message_type, topic, watch.take, qos)
        )

    def wait_for(
        self,
        topic: str,
        message_type: Any,
        predicate: Callable[[Any], object] = lambda _: True,
        timeout_s: float = TIMEOUT_S,
        qos: QoSProfile | int = 10,
    ) -> Any:
        """The next message of a topic the predicate is true of."""
        watch, subscription = self._watch(topic, message_type, qos)
        try:
            return watch.wait(predicate, timeout_s)
        finally:
            self._watches.remove(watch)
            self._spinning.run(lambda: self.node.destroy_subscription(subscription))

    def wait_for_diagnostics(
        self,
        node_name: str,
        predicate: Callable[[DiagnosticStatus], object],
        timeout_s: float = TIMEOUT_S,
    ) -> DiagnosticStatus:
        """The next status of a node (fully qualified name) the predicate is true of."""

        def status_of(message: DiagnosticArray) -> DiagnosticStatus | None:
            return next((s for s in message.status if s.name == node_name), None)

        found = self.wait_for(
            '/diagnostics',
            DiagnosticArray,
            lambda message: (status := status_of(message)) and predicate(status),
            timeout_s,
        )
        status = status_of(found)
        assert status is not None
        return status

    def set_parameter(self, node_name: str, name: str, value: Any) -> SetParametersResult:
        """Set one parameter; the node's answer."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.call(SetParameters, f'{node_name}/set_parameters', request).results[0]

    def get_parameter(self, node_name: str, name: str) -> Any:
        """Value of one parameter; None when it is not set."""
        request = GetParameters.Request(names=[name])
        answer = self.call(GetParameters, f'{node_name}/get_parameters', request)
        return parameter_value_to_python(answer.values[0])

    def change_state(self, node_name: str, transition: int) -> bool:
        """Ask for a lifecycle transition (``lifecycle_msgs.msg.Transition``); its success."""
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, f'{node_name}/change_state', request).success)

    def call(
        self, service_type: Any, name: str, request: Any, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Call a service; its answer."""
        return self._spinning.call(service_type, name, request, timeout_s)
