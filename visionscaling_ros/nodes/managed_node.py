"""What all nodes of this package share: lifecycle with autostart, parameters, diagnostics."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from visionscaling_ros.graph.stop_signals import stop_signals
from visionscaling_ros.nodes.compat import GuardedLifecycleNode, make_executor, steady_clock
from visionscaling_ros.nodes.parameters import NodeParameters, Parameter

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
DIAGNOSTICS_PERIOD_S = 1.0
SPIN_TIMEOUT_S = 0.2  # longest wait before a signal is acted on
WARNING_PERIOD_S = 5.0  # a warning that could repeat every frame does not

COMMON_PARAMETERS = (
    Parameter('autostart', True, 'Configure and activate the node when it starts', read_only=True),
)


class ManagedNode(GuardedLifecycleNode):
    """Base of the nodes: subclasses fill in ``configure`` to ``cleanup`` and ``diagnose``.

    :param name: default node name.
    :param declarations: the node's own parameters.
    """

    def __init__(self, name: str, declarations: Sequence[Parameter]) -> None:
        super().__init__(name)
        self.parameters = NodeParameters(
            self,
            (*COMMON_PARAMETERS, *declarations),
            check_all=self.check_parameters,
            on_change=self.on_parameters_changed,
        )
        self.active = False
        self._failure = ''
        self._active_timers: list[Timer] = []
        self._publishers_of_mine: list[LifecyclePublisher] = []
        self._subscriptions_of_mine: list[Subscription] = []
        self._warned_s: dict[str, float] = {}
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady_clock())

    # What a node fills in.

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError for a combination of values that is not allowed."""

    def on_parameters_changed(self, names: set[str]) -> None:
        """Act on parameters that were changed."""

    def configure(self) -> None:
        """Make what activation needs; raise to refuse."""

    def activate(self) -> None:
        """Start working."""

    def deactivate(self) -> None:
        """Stop working; publishers still publish."""

    def cleanup(self) -> None:
        """Undo ``configure``."""

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Level, message and values for ``/diagnostics``."""
        return OK, 'running', {}

    def diagnose_parts(self) -> Mapping[str, tuple[bytes, str, dict[str, object]]]:
        """The same for parts of the node, each in a status of its own: ``<node>: <part>``."""
        return {}

    # What a node may call.

    def advertise(self, message_type: Any, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        """A publisher from ``configure`` on, taken down at cleanup."""
        publisher = self.create_lifecycle_publisher(message_type, topic, qos)
        self._publishers_of_mine.append(publisher)
        return publisher

    def subscribe(
        self, message_type: Any, topic: str, callback: Callable[[Any], None], qos: QoSProfile
    ) -> None:
        """A subscription from ``configure`` on, taken down at cleanup."""
        self._subscriptions_of_mine.append(
            self.create_subscription(message_type, topic, callback, qos)
        )

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` every ``period_s`` on the monotonic clock while active."""
        self._active_timers.append(self.create_timer(period_s, callback, clock=steady_clock()))

    def warn(self, kind: str, words: str) -> None:
        """Warn, at most once in WARNING_PERIOD_S of each kind."""
        now_s = time.monotonic()
        if now_s - self._warned_s.get(kind, -WARNING_PERIOD_S) >= WARNING_PERIOD_S:
            self._warned_s[kind] = now_s
            self.get_logger().warning(words)

    def start(self) -> None:
        """Configure and activate if ``autostart`` says so."""
        if self.parameters['autostart'] and (
            self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        ):
            self.trigger_activate()

    def close(self) -> None:
        """Deactivate and clean up, whatever the state; then destroy the node."""
        if self.active:
            self.trigger_deactivate()
        with contextlib.suppress(Exception):
            self.trigger_shutdown()
        self.destroy_node()

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; a failure leaves the node unconfigured, with nothing half made."""
        self._failure = ''
        result = self._transition(self.configure, super().on_configure, state)
        if result != TransitionCallbackReturn.SUCCESS:
            self._transition(self._take_down, None, state)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers, then start working."""
        result = super().on_activate(state)
        if result != TransitionCallbackReturn.SUCCESS:
            return result
        self.active, self._failure = True, ''
        result = self._transition(self.activate, None, state)
        if result != TransitionCallbackReturn.SUCCESS:
            self._stop_working()
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working, then disable the publishers."""
        self._stop_working()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Undo configure."""
        return self._transition(self._take_down, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working and undo configure."""
        if self.active:
            self._stop_working()
        return self._transition(self._take_down, super().on_shutdown, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured."""
        return TransitionCallbackReturn.SUCCESS

    def _transition(
        self,
        own: Callable[[], None],
        inherited: Callable[[LifecycleState], TransitionCallbackReturn] | None,
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        try:
            own()
        except Exception as error:  # a failed transition is reported, never a crash
            self._failure = f'{own.__name__} failed: {error}'
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        return inherited(state) if inherited else TransitionCallbackReturn.SUCCESS

    def _take_down(self) -> None:
        self.cleanup()
        for publisher in self._publishers_of_mine:
            self.destroy_lifecycle_publisher(publisher)
        for subscription in self._subscriptions_of_mine:
            self.destroy_subscription(subscription)
        self._publishers_of_mine.clear()
        self._subscriptions_of_mine.clear()

    def _stop_working(self) -> None:
        for timer in self._active_timers:
            self.destroy_timer(timer)
        self._active_timers.clear()
        self._transition(self.deactivate, None, LifecycleState('active', 0))
        self.active = False

    def _publish_diagnostics(self) -> None:
        if self.active:
            statuses = [self._status(self.diagnose())]
            statuses += [self._status(told, part) for part, told in self.diagnose_parts().items()]
        else:
            why = self._failure or 'configure and activate it'
            statuses = [self._status((ERROR if self._failure else WARN, f'not active: {why}', {}))]
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(array)

    def _status(
        self, told: tuple[bytes, str, dict[str, object]], part: str = ''
    ) -> DiagnosticStatus:
        level, message, values = told
        return DiagnosticStatus(
            level=level,
            name=self.get_fully_qualified_name() + (f': {part}' if part else ''),
            message=message,
            hardware_id=self.get_namespace(),
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )


def run_nodes(*factories: Callable[[], ManagedNode]) -> None:
    """Run nodes in this process until a stop signal, then close them in reverse order."""
    stopping: list[int] = []
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    for number in stop_signals():
        signal.signal(number, lambda caught, _frame: stopping.append(caught))
    executor = make_executor()
    nodes: list[ManagedNode] = []
    try:
        for factory in factories:
            node = factory()
            nodes.append(node)
            executor.add_node(node)
        for node in nodes:
            node.start()
        while rclpy.ok() and not stopping:
            _spin_once(executor, nodes)
    finally:
        for node in reversed(nodes):
            node.close()
        executor.shutdown()
        rclpy.get_default_context().try_shutdown()  # rclpy.try_shutdown came after Humble


def _spin_once(executor: Any, nodes: Sequence[ManagedNode]) -> None:
    try:
        executor.spin_once(timeout_sec=SPIN_TIMEOUT_S)
    except Exception:  # one failing callback must not stop the robot's other callbacks
        nodes[0].get_logger().error(f'callback failed: {traceback.format_exc()}')


def _text(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else str(value)
