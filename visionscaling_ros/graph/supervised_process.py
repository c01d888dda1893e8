"""One child process: output read line by line, started again on demand, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from visionscaling_ros.graph.descriptions import RESPAWN_DELAY_S
from visionscaling_ros.graph.tied_command import tied_command

HISTORY_LINES = 1000


class SupervisedProcess:
    """A command in a process group of its own, watched by one thread.

    :param on_line: called with each line of output, and a line on how the process ended.
    :param respawn: start it again RESPAWN_DELAY_S after it ended by itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        *,
        respawn: bool = False,
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._on_line = on_line
        self._respawn = respawn
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._spawned = threading.Event()
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._lines: deque[str] = deque(maxlen=HISTORY_LINES)
        self._error: OSError | None = None
        self._over = True  # no line comes any more: the thread's end would wake nobody who waits

    @property
    def pid(self) -> int:
        """Process id of the latest start; raises RuntimeError before the first."""
        if self._process is None:
            raise RuntimeError(f'{self._command[0]} was never started')
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status as in subprocess; None while it runs or before it was started."""
        return None if self._process is None else self._process.returncode

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_supervised(self) -> bool:
        """Whether the process is alive or will be started again."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def lines(self) -> list[str]:
        """The latest lines of output since the latest start."""
        with self._changed:
            return list(self._lines)

    def start(self) -> None:
        """Start it; raises OSError when the command cannot be run."""
        self._spawned.clear()
        self._stopping.clear()
        self._over = False
        # The process is tied to the thread that starts it, which has to live as long.
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()
        self._spawned.wait()
        if self._error is not None:
            raise self._error

    def signal(self, number: int) -> None:
        """Send a signal to the process and all it started."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def forbid_respawn(self) -> None:
        """Do not start it again from now on; what runs is left running."""
        self._stopping.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it ended for good; whether it did."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self.is_supervised

    def wait_for_line(self, text: str, timeout_s: float) -> str:
        """The first line since the latest start that contains ``text``.

        Raises TimeoutError when it does not come in time or the process ends for good without it.
        """

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._over, timeout_s)
            line = found()
            said = '\n'.join(self._lines) or 'nothing'
        if line is None:
            raise TimeoutError(f'{text!r} was not said within {timeout_s} s, but: {said}')
        return line

    def _supervise(self) -> None:
        try:
            self._keep_running()
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _keep_running(self) -> None:
        while True:
            try:
                process = self._spawn()
            except OSError as error:
                self._error = error
                self._spawned.set()
                return
            self._spawned.set()
            if self._stopping.is_set():  # asked to end while it was being started again
                self.signal(signal.SIGINT)
            assert process.stdout is not None
            for line in process.stdout:
                self._say(line.rstrip('\n'))
            ending = f'ended: {_how_it_ended(process.wait())} (pid {process.pid})'
            again = self._respawn and not self._stopping.is_set()
            self._say(f'{ending}, starts again in {RESPAWN_DELAY_S:g} s' if again else ending)
            if not again or self._stopping.wait(RESPAWN_DELAY_S):
                return

    def _spawn(self) -> subprocess.Popen[str]:
        with self._changed:
            self._lines.clear()
        self._process = subprocess.Popen(
            tied_command(self._command, self._environment),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            bufsize=1,
            start_new_session=True,  # Ctrl-C in the terminal reaches it through signal() only
        )
        return self._process

    def _say(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()
        self._on_line(line)


def _how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f'by {signal.Signals(-returncode).name}'
    return f'exit status {returncode}'
