"""A plain node that listens in a thread of its own, for commands that watch a graph."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from visionscaling_ros.nodes.spin_thread import Result, SpinThread


class Listener:
    """Base of watchers; use as a context manager. Callbacks run in the listener's thread.

    :param name: of the node.
    :param namespace: of the node.
    """

    def __init__(self, name: str, namespace: str = '') -> None:
        self._name = name
        self._namespace = namespace

    def subscribe(self) -> None:
        """Create the subscriptions on ``self.node``."""

    def on_failure(self, error: BaseException) -> None:
        """Told, in the listener's thread, what ended it: nothing is heard from then on."""

    def __enter__(self) -> Any:
        self._context = Context()
        rclpy.init(args=[], context=self._context)  # not the command's: ROS takes from:=to
        self.node = Node(self._name, namespace=self._namespace, context=self._context)
        self.subscribe()
        self._spinning = SpinThread(self.node, self.on_failure)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._spinning.close()  # raises what ended it early: nothing was heard from then on
        finally:
            self.node.destroy_node()
            self._context.try_shutdown()

    def run(self, action: Callable[[], Result]) -> Result:
        """As ``SpinThread.run``: to make or destroy what the node has, once it listens."""
        return self._spinning.run(action)

    def call(self, service_type: Any, name: str, request: Any, timeout_s: float) -> Any:
        """As ``SpinThread.call``: the answer of a service."""
        return self._spinning.call(service_type, name, request, timeout_s)
