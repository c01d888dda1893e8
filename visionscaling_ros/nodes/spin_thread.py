"""A plain node spun by a thread of its own, for commands that watch a graph."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.node import Node

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.nodes.compat import make_executor

Result = TypeVar('Result')


class SpinThread:
    """Spins a node until it is closed; through it other threads use the node meanwhile.

    An executor of rclpy reads the node's entities without a lock (ros2/rclpy issues 1284, 1355):
    one that another thread destroys while the wait set is made ends the spin with InvalidHandle.
    So all that makes or destroys entities goes through ``run``.

    :param node: what it has already is made before its thread starts, so in any thread.
    :param on_failure: told, in the thread, what ended it, which is what a callback raised.
    """

    def __init__(
        self, node: Node, on_failure: Callable[[BaseException], None] = lambda error: None
    ) -> None:
        self._node = node
        self._on_failure = on_failure
        self._executor = make_executor(node.context)
        self._executor.add_node(node)
        self._mutex = threading.Lock()
        self._promised: set[concurrent.futures.Future[Any]] = set()  # all kept in the thread
        self._stopping = False
        self._ended = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._spin, name=node.get_name(), daemon=True)
        self._thread.start()

    def run(self, action: Callable[[], Result]) -> Result:
        """Call ``action`` in the thread, between two callbacks; what it returns or raises.

        Raises RuntimeError when the thread has ended.
        """
        if threading.current_thread() is self._thread:
            return action()
        promise: concurrent.futures.Future[Result] = self._promise(
            lambda kept: kept.set_result(action())
        )
        return promise.result()

    def call(self, service_type: Any, name: str, request: Any, timeout_s: float) -> Any:
        """Call a service and give its answer; not for the thread itself.

        Raises VisionScalingError when it is not there or does not answer in time, and RuntimeError
        when the thread has ended.
        """
        client = self.run(lambda: self._node.create_client(service_type, name))
        try:
            if not client.wait_for_service(timeout_s):
                raise VisionScalingError(f'no service {name}')
            promise = self._promise(
                lambda kept: client.call_async(request).add_done_callback(
                    lambda answer: kept.set_result(answer.result())
                )
            )
            concurrent.futures.wait((promise,), timeout_s)
            if not promise.done():
                self._forget(promise)
                raise VisionScalingError(f'no answer from {name}')
            return promise.result()
        finally:
            self.run(lambda: self._node.destroy_client(client))

    def close(self) -> None:
        """End the thread; raises RuntimeError when it had ended by a failure.

        The node may be destroyed then, by any thread.
        """
        with self._mutex:
            if not self._ended:
                self._executor.create_task(self._stop)
        self._thread.join()
        if self._failure is not None:
            raise self._reason() from self._failure

    def _promise(
        self, start: Callable[[concurrent.futures.Future[Any]], None]
    ) -> concurrent.futures.Future[Any]:
        """A future given to ``start`` in the thread; it is kept or broken whatever happens."""
        promise: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def work() -> None:
            try:
                start(promise)
            except BaseException as error:  # for who waits, not for the executor
                promise.set_exception(error)

        with self._mutex:
            if self._ended:
                raise self._reason() from self._failure
            self._promised.add(promise)
            self._executor.create_task(work)
        promise.add_done_callback(self._forget)
        return promise

    def _forget(self, promise: concurrent.futures.Future[Any]) -> None:
        with self._mutex:
            self._promised.discard(promise)

    def _stop(self) -> None:
        self._stopping = True

    def _spin(self) -> None:
        try:
            while not self._stopping:
                self._executor.spin_once()
        except BaseException as error:
            self._failure = error
        with self._mutex:
            self._ended = True
            broken = list(self._promised)
        for promise in broken:
            promise.set_exception(self._reason())
        self._executor.shutdown()
        if self._failure is not None:
            self._on_failure(self._failure)

    def _reason(self) -> RuntimeError:
        why = 'was closed' if self._failure is None else f'failed: {self._failure!r}'
        return RuntimeError(f'the thread of {self._node.get_name()} {why}')
