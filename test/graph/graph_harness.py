"""Real nodes in real processes over real DDS, in a domain of their own, for tests.

    def test_it(graph):
        node = graph.start('gpu_clock_node', parameters={'backend': 'emulated'})
        state = graph.observer.wait_for('gpu_state', GpuState, lambda m: m.frequency_hz > 1e9)
        node.stop()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graph_observer import TIMEOUT_S, Observer, Watch

from visionscaling_ros.graph.private_domain import in_private_domain

__all__ = ['TIMEOUT_S', 'Graph', 'Observer', 'Process', 'Watch', 'private_graph']

STOP_TIMEOUT_S = 15.0


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
        """Until it ended; its exit code. Its output is read, unless others still write to it."""
        deadline_s = time.monotonic() + timeout_s
        status = self._popen.wait(timeout_s)
        with self._changed:
            self._changed.wait_for(lambda: self._ended, deadline_s - time.monotonic())
        return status

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
                self._popen.wait(STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._reader.join(5.0)


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
            'VISIONSCALING_STATE_HOME': str(folder / 'run'),
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
    with in_private_domain() as domain:
        graph = Graph(domain, folder)
        try:
            yield graph
        finally:
            graph.close()


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return '[' + ', '.join(_as_yaml(item) for item in value) + ']'
    return repr(value)
