"""A Triton server of one's own on loopback, for comparisons and tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.errors import EdgeError
from visionscaling_ros.trials.triton_installation import TritonInstallation

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
_POLL_S = 0.1
_SHARED_MEMORY = Path('/dev/shm')


@contextlib.contextmanager
def running_triton(installation: TritonInstallation, repository: Path) -> Iterator[str]:
    """Serve a model repository; gives ``host:port`` of gRPC once every model is ready.

    It listens on loopback only, and no process of it is left afterwards. Raises EdgeError with the
    end of its log when it does not start.
    """
    port = _free_port()
    prefix = f'visionscaling-{port}-'
    with tempfile.TemporaryFile('w+') as log:
        process = subprocess.Popen(
            [
                *installation.command,
                f'--model-repository={repository}',
                '--grpc-address=127.0.0.1',
                f'--grpc-port={port}',
                '--allow-http=false',
                '--allow-metrics=false',
                '--disable-auto-complete-config',
                '--exit-timeout-secs=5',
                f'--backend-config=python,shm-region-prefix-name={prefix}',
            ],
            env=installation.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, port, log)
            yield f'127.0.0.1:{port}'
        finally:
            _stop(process)
            for left in _SHARED_MEMORY.glob(f'{prefix}*'):
                left.unlink(missing_ok=True)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    with grpc.insecure_channel(f'127.0.0.1:{port}') as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        while process.poll() is None and time.monotonic() < deadline_s:
            with contextlib.suppress(grpc.RpcError):
                if stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=1.0).ready:
                    return
            time.sleep(_POLL_S)
    log.seek(0)
    tail = ''.join(log.readlines()[-20:])
    raise EdgeError(f'Triton did not start in {START_TIMEOUT_S:.0f} s:\n{tail}')


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):  # the Python processes of its models too
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port
