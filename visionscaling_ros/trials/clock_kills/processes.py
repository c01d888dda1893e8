"""The processes that are killed: gpu_clock_node and the helper, on a file tree."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.hardware.state_folder import PLACE
from visionscaling_ros.installed import program_command
from visionscaling_ros.trials.clock_kills.driver import ClockDriver
from visionscaling_ros.trials.clock_kills.helper_process import (
    helper_command,
    helper_socket,
    wait_for_helper,
)
from visionscaling_ros.trials.clock_kills.machine_tree import MachineTree
from visionscaling_ros.trials.clock_kills.plan import HELPER, NODE, THROUGH_HELPER
from visionscaling_ros.trials.clock_kills.unprivileged import NOBODY, unprivileged_command

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
HALT_TIMEOUT_S = 1.0
POLL_S = 0.0005
EMPTY = "''"  # of a parameter on a command line


class ClockProcesses:
    """Node and, where it writes through one, helper; a context manager that ends both.

    :param way: who writes, one of WAYS.
    :param folder: for sockets, states and logs; everybody may enter it.
    """

    def __init__(self, way: str, tree: MachineTree, folder: Path, driver: ClockDriver) -> None:
        self._driver = driver
        self._tree = tree
        self._folder = folder
        self.names = (HELPER, NODE) if way == THROUGH_HELPER else (NODE,)
        environment = _environment(folder)
        self._started_s: dict[str, float] = {}
        self._log = (folder / f'{way.replace(" ", "_")}.log').open('w', encoding='utf-8')
        commands: dict[str, Sequence[str]] = {NODE: self._node_command(way)}
        if way == THROUGH_HELPER:
            commands[NODE] = unprivileged_command(commands[NODE], environment)
            commands[HELPER] = helper_command(tree.root, folder, NOBODY)
        self._processes = {
            name: SupervisedProcess(command, environment, self._writer(name))
            for name, command in commands.items()
        }

    def start(self, name: str) -> None:
        """Start one; it is not ready yet."""
        self._started_s[name] = time.monotonic()
        self._processes[name].start()

    def is_running(self, name: str) -> bool:
        """Whether it is alive."""
        return self._processes[name].is_running

    def wait_until_ready(self, name: str) -> None:
        """Until it does its work; raises VisionScalingError when it does not."""
        if name == HELPER:
            wait_for_helper(self._processes[HELPER], self._folder)
        elif not self._driver.wait_for_state(self._started_s[name], START_TIMEOUT_S):
            said = '\n'.join(self._processes[name].lines[-20:])
            raise VisionScalingError(f'the {name} does not come up; it said: {said}')

    def terminate(self, name: str) -> None:
        """Ask it to end."""
        self._processes[name].signal(signal.SIGTERM)

    def halt(self, name: str) -> None:
        """Have it stand still, wherever it is (SIGSTOP)."""
        self._processes[name].signal(signal.SIGSTOP)
        deadline_s = time.monotonic() + HALT_TIMEOUT_S
        while not _stands_still(self._processes[name].pid) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)

    def go_on(self, name: str) -> None:
        """Let it go on after ``halt``."""
        self._processes[name].signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """``kill -9``."""
        self._processes[name].signal(signal.SIGKILL)

    def wait(self, name: str) -> int | None:
        """Until it ended; its exit status, None when it has not in time."""
        process = self._processes[name]
        return process.returncode if process.wait(STOP_TIMEOUT_S) else None

    def __enter__(self) -> ClockProcesses:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all of them."""
        for name in reversed(self.names):
            self.terminate(name)
        for name in reversed(self.names):
            if self.wait(name) is None:
                self.kill(name)
                self.wait(name)
        self._log.close()

    def _node_command(self, way: str) -> list[str]:
        by_helper = way == THROUGH_HELPER
        parameters = {
            'backend': 'jetson',
            'sysfs_root': str(self._tree.root),
            'helper_socket': str(helper_socket(self._folder)) if by_helper else '',
            'power_backend': 'model',
            'decision_timeout_s': '60.0',
        }
        values = [
            part
            for name, value in parameters.items()
            for part in ('-p', f'{name}:={value or EMPTY}')
        ]
        return [*program_command('gpu_clock_node'), '--ros-args', *values]

    def _writer(self, name: str) -> Callable[[str], None]:
        def write(line: str) -> None:
            print(f'[{name}] {line}', file=self._log, flush=True)

        return write


def _stands_still(pid: int) -> bool:
    """Whether all its threads are stopped, or it ended; proc(5), state in /proc/pid/stat."""
    try:
        threads = [path.read_text() for path in Path(f'/proc/{pid}/task').glob('*/stat')]
    except OSError:
        return True
    return all(text.rpartition(') ')[2][:1] == 'T' for text in threads)


def _environment(folder: Path) -> Mapping[str, str]:
    for name in ('run', 'log'):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o1777)
    return {
        **os.environ,
        PLACE: str(folder / 'run'),
        'ROS_LOG_DIR': str(folder / 'log'),
        'PYTHONUNBUFFERED': '1',
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}',
    }
