"""Differences between ROS 2 distributions, in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription

try:  # where it moved to after Humble
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:
    from rclpy.qos_event import SubscriptionEventCallbacks  # type: ignore[no-redef]

__all__ = [
    'GuardedLifecycleNode',
    'SubscriptionEventCallbacks',
    'make_executor',
    'publication_number',
    'steady_clock',
    'with_message_info',
]


class GuardedLifecycleNode(LifecycleNode):
    """A LifecycleNode that answers an invalid transition request instead of raising.

    Up to Jazzy the request's error leaves the service callback through the executor, and whoever
    asked waits for ever.
    """

    def _LifecycleNodeMixin__on_change_state(self, request: Any, response: Any) -> Any:  # noqa: N802
        inherited = super()._LifecycleNodeMixin__on_change_state  # type: ignore[misc]
        try:
            return inherited(request, response)
        except Exception as error:
            self.get_logger().warning(
                f'transition {request.transition.label or request.transition.id!r} refused: {error}'
            )
            response.success = False
            return response


def make_executor(context: Context | None = None) -> SingleThreadedExecutor:
    """One thread for all callbacks; a multi-threaded executor of rclpy loses messages."""
    return SingleThreadedExecutor(context=context)


def steady_clock() -> Clock:
    """Clock for timers that must not follow simulated time."""
    return Clock(clock_type=ClockType.STEADY_TIME)


def with_message_info(callback: Callable[[Any, Any], None]) -> Callable[..., None]:
    """A subscription callback that takes (message, info); info is None where rclpy has none."""
    if hasattr(Subscription, 'CallbackType'):
        return callback
    return lambda message: callback(message, None)  # Humble


def publication_number(info: Any) -> int | None:
    """Running number the publisher gave a received message; None where rclpy does not tell."""
    number = info.get('publication_sequence_number') if isinstance(info, dict) else None
    return int(number) if number is not None else None

