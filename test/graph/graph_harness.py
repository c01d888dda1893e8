"""Real nodes in real processes over real DDS, in a domain of their own, for tests.

    def test_it(graph):
        node = graph.start('gpu_clock_node', parameters={'backend': 'emulated'})
        state = graph.observer.wait_for('gpu_state', GpuState, lambda m: m.frequency_hz > 1e9)
        node.stop()
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSProfile

TIMEOUT_S = 30.0  # generous: other tests share the machine
STOP_TIMEOUT_S = 15.0
DOMAINS = range(10, 100)  # above 101 a domain's ports overlap the kernel's ephemeral ones


@contextlib.contextmanager
def private_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID no other test run on this machine has at the same time."""
    folder = Path(tempfile.gettempdir()) / f'visionscaling_ros-test-domains-{os.getuid()}'
    folder.mkdir(exist_ok=True)
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        with (folder / str(domain)).open('w') as lock_file:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError('every test domain is taken')


class Process:
    """A process in its own group, its output kept line by line."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._popen = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=folder,  # not the repository: its source folder would hide the built package
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def output(self) -> str:
        """All it wrote so far, both streams."""
        with self._changed:
            return ''.join(self._lines)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def wait_for_output(self, text: str, timeout_s: float = TIMEOUT_S) -> None:
        """Until a line with ``text`` was written."""
        with self._changed:
            self._changed.wait_for(
                lambda: any(text in line for line in self._lines) or self._ended, timeout_s
            )
            found = any(text in line for line in self._lines)
        assert found, f'no {text!r} in the output of {self.pid}:\n{self.output}'

    def send(self, number: signal.Signals) -> None:
        """Send it (and only it) a signal."""
        self._popen.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Until it ended; its exit code."""
        return self._popen.wait(timeout_s)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for its end; its exit code."""
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """``kill -9``, and wait."""
        self.stop(signal.SIGKILL)

    def end(self) -> None:
        """End it and everything it started, however."""
        if self.running:
            self.send(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._reader.join(5.0)


class Watch:
    """Messages of a topic, in the order they came."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._changed = threading.Condition()
        self._messages: list[Any] = []

    def take(self, message: Any) -> None:
        """Callback of the subscription."""
        with self._changed:
            self._messages.append(message)
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
                left_s = deadline_s - time.monotonic()
                if left_s <= 0.0:
                    last = self._messages[-1] if self._messages else None
                    raise AssertionError(
                        f'{self._topic}: none of {seen} messages fits; the last: {last}'
                    )
                self._changed.wait(left_s)


class Observer:
    """A node in the test's own process that watches, publishes and calls services."""

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node('observer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        """Stop and leave the graph."""
        self._executor.shutdown()
        self._thread.join(5.0)
        self.node.destroy_node()
        self._context.try_shutdown()

    def watch(self, topic: str, message_type: Any, qos: QoSProfile | int = 10) -> Watch:
        """Collect the messages of a topic from now on."""
        watch = Watch(topic)
        self.node.create_subscription(message_type, topic, watch.take, qos)
        return watch

    def wait_for(
        self,
        topic: str,
        message_type: Any,
        predicate: Callable[[Any], object] = lambda _: True,
        timeout_s: float = TIMEOUT_S,
        qos: QoSProfile | int = 10,
    ) -> Any:
        """The next message of a topic the predicate is true of."""
        watch = Watch(topic)
        subscription = self.node.create_subscription(message_type, topic, watch.take, qos)
        try:
            return watch.wait(predicate, timeout_s)
        finally:
            self.node.destroy_subscription(subscription)

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
        client = self.node.create_client(service_type, name)
        try:
            assert client.wait_for_service(timeout_s), f'no service {name}'
            answered = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: answered.set())
            assert answered.wait(timeout_s), f'no answer from {name}'
            return future.result()
        finally:
            self.node.destroy_client(client)


class Graph:
    """Processes and an observer in one private domain.

    :param folder: where processes run and keep their state and logs.
    """

    def __init__(self, domain: int, folder: Path) -> None:
        self.domain = domain
        self.folder = folder
        (folder / 'run').mkdir(exist_ok=True)
        isolation = {
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': str(folder / 'log'),
            'XDG_RUNTIME_DIR': str(folder / 'run'),
            'PYTHONUNBUFFERED': '1',
        }
        self.environment = {**os.environ, **isolation}
        self.processes: list[Process] = []
        self._observer: Observer | None = None

    @property
    def observer(self) -> Observer:
        """The observer, made when first asked for."""
        if self._observer is None:
            self._observer = Observer(self.domain)
        return self._observer

    def run(self, *command: str) -> Process:
        """Start any command in the domain."""
        process = Process(command, self.environment, self.folder)
        self.processes.append(process)
        return process

    def start(
        self,
        node: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        namespace: str = '',
        remaps: Mapping[str, str] | None = None,
        log_level: str = 'info',
    ) -> Process:
        """Start a node of this package by its module's name."""
        arguments = ['--ros-args', '--log-level', log_level]
        for name, value in (parameters or {}).items():
            arguments += ['-p', f'{name}:={_as_yaml(value)}']
        for old, new in {**(remaps or {}), **({'__ns': namespace} if namespace else {})}.items():
            arguments += ['-r', f'{old}:={new}']
        return self.run(sys.executable, '-m', f'visionscaling_ros.nodes.{node}', *arguments)

    def close(self) -> None:
        """End everything; what the processes wrote is printed for pytest to show on failure."""
        for process in reversed(self.processes):
            process.end()
            print(f'--- output of {process.pid}\n{process.output}')
        if self._observer is not None:
            self._observer.close()


@contextlib.contextmanager
def private_graph(folder: Path) -> Iterator[Graph]:
    """A graph in a domain of its own; nothing of it is left afterwards."""
    with private_domain() as domain, _discovery_on_localhost():
        graph = Graph(domain, folder)
        try:
            yield graph
        finally:
            graph.close()


@contextlib.contextmanager
def _discovery_on_localhost() -> Iterator[None]:
    name = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
    before = os.environ.get(name)
    os.environ[name] = 'LOCALHOST'
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return '[' + ', '.join(_as_yaml(item) for item in value) + ']'
    return repr(value)
