"""What signals do to an edge server, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from edge_secrets import digest, write_private
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request, parse_reply

PATIENCE_S = 30.0
FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)
# SIGUSR1 opens the gate; the server tells when a request has reached it.
PROGRAM = """
import signal, sys, threading
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from edge_gated_runner import GatedRunner
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_log import say, server_log
from visionscaling_ros.edge.server.server_security import ServerSecurity
runner = GatedRunner()
runner.gate.clear()
signal.signal(signal.SIGUSR1, lambda *_: runner.gate.set())
tokens = Path(sys.argv[2]) if len(sys.argv) > 2 else None
def tell():
    runner.entered.wait()
    say('entered')
threading.Thread(target=tell, daemon=True).start()
with server_log():
    EdgeServer(runner, port=0, security=ServerSecurity(tokens_file=tokens)).serve(say)
"""


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[tuple[subprocess.Popen, grpc.Channel]]:
    program = subprocess.Popen(
        [sys.executable, '-c', PROGRAM, str(Path(__file__).parent), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with grpc.insecure_channel(program.stdout.readline().strip()) as channel:
            yield program, channel
    finally:
        program.kill()
        program.communicate()


def send(channel: grpc.Channel, metadata=()):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    request = build_request(FRAME, robot_id='', deadline_s=PATIENCE_S)
    return stub.ModelInfer.future(request, timeout=PATIENCE_S, metadata=metadata)


def is_ready(channel: grpc.Channel) -> bool:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    return stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=PATIENCE_S).ready


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_cleanly(number: signal.Signals) -> None:
    with server() as (program, channel):
        under_way = send(channel)
        assert program.stdout.readline() == 'entered\n'
        assert is_ready(channel)
        program.send_signal(number)
        while is_ready(channel):
            pass
        late = send(channel)
        assert late.exception().code() is grpc.StatusCode.UNAVAILABLE
        program.send_signal(signal.SIGUSR1)
        parse_reply(under_way.result(), FRAME)
        assert program.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_it_now() -> None:
    with server() as (program, channel):
        under_way = send(channel)
        assert program.stdout.readline() == 'entered\n'
        program.send_signal(signal.SIGTERM)
        while is_ready(channel):
            pass
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == -signal.SIGTERM
        assert under_way.exception().code() is grpc.StatusCode.UNAVAILABLE


def test_hangup_reads_the_tokens_again(tmp_path: Path) -> None:
    file = write_private(tmp_path / 'r.yaml', f'robots: {{a: {{token_sha256: ["{digest("x")}"]}}}}')
    with server(str(file)) as (program, channel):
        program.send_signal(signal.SIGUSR1)
        parse_reply(send(channel, [('authorization', 'Bearer x')]).result(), FRAME)
        file.write_text(file.read_text().replace(digest('x'), digest('y')))
        program.send_signal(signal.SIGHUP)
        while True:  # until it has read the file
            call = send(channel, [('authorization', 'Bearer x')])
            if call.exception() is not None:
                break
        assert call.exception().code() is grpc.StatusCode.UNAUTHENTICATED
        file.write_text('robots: 3')
        program.send_signal(signal.SIGHUP)
        assert 'not reloaded, the former stays' in program.stderr.readline()
        parse_reply(send(channel, [('authorization', 'Bearer y')]).result(), FRAME)
