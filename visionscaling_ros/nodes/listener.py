"""A plain node that listens in a thread of its own, for commands that watch a graph."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from visionscaling_ros.nodes.compat import make_executor

SPIN_TIMEOUT_S = 0.2


class Listener:
    """Base of watchers; use as a context manager. Callbacks run in the listener's thread.

    :param name: of the node.
    :param namespace: of the node.
    """

    def __init__(self, name: str, namespace: str = '') -> None:
        self._name = name
        self._namespace = namespace
        self._stopping = False

    def subscribe(self) -> None:
        """Create the subscriptions on ``self.node``."""

    def __enter__(self) -> Any:
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = Node(self._name, namespace=self._namespace, context=self._context)
        self.subscribe()
        self._thread = threading.Thread(target=self._spin, name=self._name, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        executor = make_executor(self._context)
        executor.add_node(self.node)
        while not self._stopping:
            executor.spin_once(timeout_sec=SPIN_TIMEOUT_S)
        executor.shutdown()
