"""Runs the graph as separate processes where the ``launch`` package is not installed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.commands import process_command
from visionscaling_ros.graph.dds_profile import dds_environment
from visionscaling_ros.graph.descriptions import ProcessDescription, ProgramDescription
from visionscaling_ros.graph.supervised_process import SupervisedProcess

# How long a process may take to end after each signal; then comes the next.
STOP_STAGES = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
WAIT_PERIOD_S = 0.2

OnOutput = Callable[[str, str], None]


def print_output(name: str, line: str) -> None:
    """Show a line of output with the name of the process it comes from."""
    print(f'[{name}] {line}', flush=True)


class ProcessRunner:
    """The processes of a graph, by name. As a context manager it starts and stops them.

    :param descriptions: what to run.
    :param on_output: takes (process name, line); never called by two threads at once.
    :param environment: variables on top of this process's own and of the DDS profile.
    """

    def __init__(
        self,
        descriptions: Sequence[ProcessDescription],
        on_output: OnOutput = print_output,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._descriptions = {description.name: description for description in descriptions}
        self._on_output = on_output
        self._output_lock = threading.Lock()
        self._environment = {
            **os.environ,
            **dds_environment(),
            'PYTHONUNBUFFERED': '1',
            **(environment or {}),
        }
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._processes: dict[str, SupervisedProcess] = {}

    def __enter__(self) -> ProcessRunner:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the processes."""
        return tuple(self._descriptions)

    def start(self) -> None:
        """Start every process; stops those already started and raises OSError if one fails."""
        self._folder = tempfile.TemporaryDirectory(prefix='visionscaling-')
        try:
            for name, description in self._descriptions.items():
                process = self._make(name, description, Path(self._folder.name))
                self._processes[name] = process
                process.start()
        except BaseException:
            self.stop()
            raise

    def process(self, name: str) -> SupervisedProcess:
        """One process, for its pid and output; raises InvalidValueError for an unknown name."""
        if name not in self._processes:
            raise InvalidValueError('process', name, ', '.join(self._processes) or 'none started')
        return self._processes[name]

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one process; with ``respawn`` it will come back."""
        self.process(name).signal(number)

    def restart(self, name: str) -> None:
        """Start one process again, after it ended or after stopping it."""
        process = self.process(name)
        _stop([process])
        process.start()

    def wait(self, stop: threading.Event | None = None) -> int:
        """Wait until all processes ended for good, or one that ends the graph, or for ``stop``.

        Returns the exit status for the caller: 0, or 1 when a process failed.
        """
        stop = stop or threading.Event()
        while not stop.wait(WAIT_PERIOD_S):
            if not any(process.is_supervised for process in self._processes.values()):
                return int(any(process.returncode for process in self._processes.values()))
            for name, description in self._descriptions.items():
                process = self._processes[name]
                if _ends_graph(description) and not process.is_supervised:
                    return int(bool(process.returncode))
        return 0

    def stop(self) -> None:
        """End every process: SIGINT, then SIGTERM, then SIGKILL for those that stay."""
        _stop(list(self._processes.values()))
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _make(self, name: str, description: ProcessDescription, folder: Path) -> SupervisedProcess:
        def on_line(line: str) -> None:
            with self._output_lock:
                self._on_output(name, line)

        return SupervisedProcess(
            process_command(description, folder),
            self._environment,
            on_line,
            respawn=description.respawn,
        )


def _ends_graph(description: ProcessDescription) -> bool:
    return isinstance(description, ProgramDescription) and description.ends_graph


def _stop(processes: Sequence[SupervisedProcess]) -> None:
    for process in processes:
        process.forbid_respawn()
    for number, patience_s in STOP_STAGES:
        for process in processes:
            process.signal(number)
        deadline_s = time.monotonic() + patience_s
        if all(process.wait(max(0.0, deadline_s - time.monotonic())) for process in processes):
            return
