"""The helper for tests: in a thread, or as the program that it is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import hardware_trees
import psutil

from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clockd.desk import Desk
from visionscaling_ros.hardware.clockd.listener import open_listener
from visionscaling_ros.hardware.clockd.peer import AllowedPeers
from visionscaling_ros.hardware.clockd.served_device import ServedDevice
from visionscaling_ros.hardware.clockd.server import ClockServer
from visionscaling_ros.hardware.clockd.stop_switch import StopSwitch
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock

PROGRAM = Path(__file__).resolve().parents[2] / 'scripts' / 'visionscaling-clockd'
WAIT_S = 30.0


def digest(tree: hardware_trees.Tree) -> str:
    """Of every attribute, link and name in a tree."""
    content = hashlib.sha256()
    for path in sorted(tree.root.rglob('*')):
        content.update(str(path).encode())
        if path.is_symlink():
            content.update(os.readlink(path).encode())
        elif path.is_file():
            content.update(path.read_bytes())
    return content.hexdigest()


class HelperThread:
    """A server in a thread, for clocks made by the test."""

    def __init__(
        self,
        folder: Path,
        clocks: Sequence[GpuClock],
        *,
        allowed: AllowedPeers | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        self.socket_path = folder / 'run' / 'socket'
        self.said: list[str] = []
        self._heard = threading.Condition()
        self._stop = StopSwitch()
        self._guards = contextlib.ExitStack()
        allowed = allowed or AllowedPeers()
        self.devices = []
        for number, clock in enumerate(clocks):
            guard = ClockGuard(clock, folder / 'state' / f'{number}.found', self._hear)
            self.devices.append(ServedDevice(self._guards.enter_context(guard), self._hear))
        self.server = ClockServer(
            open_listener(self.socket_path, allowed),
            Desk(self.devices, timeout_s),
            allowed,
            timeout_s=timeout_s,
            stop=self._stop,
            log=self._hear,
        )
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> HelperThread:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self.failure = error

    def _hear(self, words: str) -> None:
        with self._heard:
            self.said.append(words)
            self._heard.notify_all()

    def wait_until_said(self, words: str) -> None:
        """Wait for a line of its log."""
        with self._heard:
            assert self._heard.wait_for(lambda: any(words in line for line in self.said), WAIT_S)

    def stop(self) -> None:
        """End as on SIGTERM; raises what its devices raise."""
        self._stop.throw()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        self._guards.close()


class HelperProcess:
    """The program, on a tree."""

    def __init__(self, folder: Path, tree: hardware_trees.Tree, *options: str) -> None:
        self.folder = folder
        self.tree = tree
        self.socket_path = folder / 'run' / 'socket'
        self.state_folder = folder / 'state'
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._options = options
        self._start()

    def _start(self) -> None:
        command = [sys.executable, str(PROGRAM), '--root', str(self.tree.root)]
        command += ['--socket', str(self.socket_path), '--state-folder', str(self.state_folder)]
        self.process = subprocess.Popen(
            [*command, *self._options], stderr=subprocess.PIPE, text=True, cwd='/'
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._hear(line)
            if ' serves ' in line:
                break
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._hear(line)

    def _hear(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    @property
    def lines(self) -> list[str]:
        """What it wrote, also before it was started again: all of it only once it ended."""
        with self._changed:
            return list(self._lines)

    def wait_for_line(self, words: str) -> str:
        """The first line with these words, which may come a moment after what it tells of."""

        def found() -> str | None:
            return next((line for line in self._lines if words in line), None)

        with self._changed:
            line = self._changed.wait_for(found, WAIT_S)
        assert line is not None, f'{words!r} was not said, but: {self.lines}'
        return line

    def clock(self) -> ClockdGpuClock:
        """A client's clock."""
        return ClockdGpuClock(DevfreqGpuClock(self.tree.files), self.socket_path)

    def signal(self, number: int) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return status

    def restart(self) -> None:
        """As systemd does it after the process ended."""
        self._start()

    def resident_bytes(self) -> int:
        """Memory it occupies now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextlib.contextmanager
def connection(socket_path: Path) -> Iterator[socket.socket]:
    """A raw connection to a helper."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(str(socket_path))
        link.settimeout(WAIT_S)
        yield link


def rest_of(link: socket.socket) -> bytes:
    """All that comes until the helper closes the connection; a reset closes it too."""
    received = b''
    with contextlib.suppress(ConnectionError):
        while part := link.recv(65536):
            received += part
    return received


def line_of(link: socket.socket) -> bytes:
    """One line, or what came before the end."""
    received = b''
    while not received.endswith(b'\n') and (part := link.recv(65536)):
        received += part
    return received
