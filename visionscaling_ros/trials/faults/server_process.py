"""The real edge server in a process of its own, to be killed, stopped and starved."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from visionscaling_ros.edge.address import format_address
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.wire.offload import OffloadError
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.installed import program_command
from visionscaling_ros.trials.faults.secrets import CAMPAIGN_ID, CampaignSecrets

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
PROBE_TIMEOUT_S = 0.5
# What a running server may map beyond what it has when memory runs out.
MEMORY_LEFT_BYTES = 4 << 20
LOG = 'server.log'


class ServerProcess:
    """``visionscaling edge-server`` on ``port`` of this machine, its output in ``folder``.

    :param options: more options of the command.
    :param secrets: its certificate, and who may use it.
    """

    def __init__(
        self, port: int, folder: Path, options: Sequence[str], secrets: CampaignSecrets
    ) -> None:
        self.address = format_address('127.0.0.1', port)
        command = [*program_command('visionscaling'), 'edge-server', '--port', str(port)]
        command += [*options, *secrets.server_options()]
        # Where nothing can be written the output has to go to the disk itself, not through a pipe.
        script = f'cd "$0" && exec "$@" >> {LOG} 2>&1'
        self._process = SupervisedProcess(
            ['/bin/sh', '-c', script, str(folder), *command],
            {**os.environ, 'PYTHONUNBUFFERED': '1'},
            lambda line: None,
        )
        self._files_limited = False
        self._client = GrpcEdgeClient(
            self.address, robot_id=CAMPAIGN_ID, credentials=secrets.client(CAMPAIGN_ID)
        )

    @property
    def pid(self) -> int:
        """Of the latest start."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.is_running

    def start(self) -> None:
        """Start it and wait until it answers; raises VisionScalingError if it does not."""
        self._process.start()
        if self._files_limited:
            self.limit_files(True)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if not self.is_running:
                raise VisionScalingError(f'the edge server ended: {self._process.returncode}')
            if time.monotonic() > deadline_s:
                raise VisionScalingError(f'no edge server within {START_TIMEOUT_S:.0f} s')
            time.sleep(POLL_S)

    def answers(self) -> bool:
        """Whether it answers a sign of life."""
        try:
            self._client.probe(PROBE_TIMEOUT_S)
        except OffloadError:
            return False
        return True

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End it by a signal; its exit status. Killed when that does not help."""
        self._process.signal(number)
        if not self._process.wait(STOP_TIMEOUT_S):
            self._process.signal(signal.SIGKILL)
            self._process.wait()
        return self._process.returncode

    def close(self) -> None:
        """End it and free everything."""
        self._process.signal(signal.SIGCONT)
        self.stop()
        self._client.close()

    def limit_files(self, limited: bool) -> None:
        """Let no file it writes grow any more, also after the next start; or let them grow."""
        self._files_limited = limited
        most_bytes = 0 if limited else psutil.RLIM_INFINITY
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(self.pid).rlimit(psutil.RLIMIT_FSIZE, (most_bytes, psutil.RLIM_INFINITY))

    def limit_address_space(self) -> None:
        """Let it map hardly any more memory: Python's allocations fail, which it can survive."""
        process = psutil.Process(self.pid)
        most_bytes = process.memory_info().vms + MEMORY_LEFT_BYTES
        process.rlimit(psutil.RLIMIT_AS, (most_bytes, psutil.RLIM_INFINITY))

    def limit_data(self) -> None:
        """Let it use hardly any more memory: allocations of libraries fail, of which it dies."""
        process = psutil.Process(self.pid)
        most_bytes = process.memory_info().data + MEMORY_LEFT_BYTES
        process.rlimit(psutil.RLIMIT_DATA, (most_bytes, psutil.RLIM_INFINITY))

    def lift_limits(self) -> None:
        """Let it use as much memory as it likes; nothing if it is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for limit in (psutil.RLIMIT_AS, psutil.RLIMIT_DATA):
                process.rlimit(limit, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
