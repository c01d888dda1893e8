"""An edge server in a process of its own, ready when it is handed out."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from visionscaling_ros.errors import EdgeError
from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.installed import program_command

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class RunningServer:
    """Its ``host:port``, where its metrics are, and its process."""

    address: str
    metrics_url: str
    process: SupervisedProcess

    @property
    def metrics_port(self) -> int:
        """Port of the metrics."""
        return int(self.metrics_url.removesuffix('/metrics').rpartition(':')[2])

    def stop(self) -> int | None:
        """End it with SIGTERM; its exit status, None if it does not end."""
        self.process.signal(signal.SIGTERM)
        self.process.wait(STOP_TIMEOUT_S)
        return self.process.returncode


@contextmanager
def running_server(models: Sequence[str], *options: str) -> Iterator[RunningServer]:
    """``visionscaling edge-server`` on free ports until the block ends; raises EdgeError."""
    arguments = ['edge-server', '--port', '0', '--metrics-port', '0', *options]
    process = SupervisedProcess(
        [*program_command('visionscaling'), *arguments, '--models', *sorted(set(models))],
        # what attacks make gRPC complain of is no news
        {**os.environ, 'PYTHONUNBUFFERED': '1', 'GRPC_VERBOSITY': 'NONE'},
        on_line=lambda line: None,
    )
    process.start()
    try:
        try:
            ready = process.wait_for_line('ready on', START_TIMEOUT_S)
            metrics = process.wait_for_line('metrics on', START_TIMEOUT_S)
        except TimeoutError as error:
            raise EdgeError(f'the edge server did not start: {error}') from error
        server = RunningServer(ready.split()[-1], metrics.split()[-1], process)
        yield server
        server.stop()
    finally:
        if process.is_running:
            process.signal(signal.SIGKILL)
            process.wait(STOP_TIMEOUT_S)
