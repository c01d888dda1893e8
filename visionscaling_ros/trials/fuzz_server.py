"""The edge server that is attacked: a process of its own, and the robots it knows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from visionscaling_ros.errors import EdgeError
from visionscaling_ros.graph.installed import program_command
from visionscaling_ros.graph.supervised_process import SupervisedProcess

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


def new_token() -> str:
    """A token as docs/security.md makes them."""
    return secrets.token_hex(32)


@contextlib.contextmanager
def edge_server(
    model: str, tokens: Mapping[str, str], folder: Path
) -> Iterator[tuple[str, int, SupervisedProcess]]:
    """Address, port of the metrics, and the process. Raises EdgeError.

    :param tokens: by robot.
    :param folder: for the file of robots.
    """
    robots = {
        name: {'token_sha256': [hashlib.sha256(token.encode()).hexdigest()]}
        for name, token in tokens.items()
    }
    file = folder / 'robots.yaml'
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump({'robots': robots}), encoding='utf-8')
    arguments = ['edge-server', '--port', '0', '--metrics-port', '0', '--tokens', str(file)]
    process = SupervisedProcess(
        [*program_command('visionscaling'), *arguments, '--models', model],
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
        port = metrics.removesuffix('/metrics').rpartition(':')[2]
        yield ready.split()[-1], int(port), process
    finally:
        if process.is_running:
            process.signal(signal.SIGKILL)
            process.wait(STOP_TIMEOUT_S)


def stop(process: SupervisedProcess) -> int | None:
    """End it with SIGTERM; its exit status, None if it does not end."""
    process.signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        process.wait(STOP_TIMEOUT_S)
    return process.returncode
