"""``visionscaling edge-server`` with the models it ships."""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError, OffloadFrame
from visionscaling_ros.edge.wire.protocol import EdgeReply
from visionscaling_ros.vision.catalog import built_in_catalog

COMMAND = 'import sys; from visionscaling_ros.cli.main import main; sys.exit(main())'
PATIENCE_S = 60.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, '-c', COMMAND, 'edge-server', *arguments]


def test_serves_a_shipped_model_until_terminated() -> None:
    model = built_in_catalog().names()[0]
    size_px = built_in_catalog().entry(model).input_sizes_px[0]
    program = subprocess.Popen(
        command('--port', '0', '--models', model), stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    try:
        greeting, _, address = program.stdout.readline().strip().rpartition(' ')
        assert greeting == 'edge server ready on'
        client = GrpcEdgeClient(address)
        replies: queue.Queue[EdgeReply | OffloadError] = queue.Queue()
        image = np.random.default_rng(0).integers(0, 255, (size_px // 2, size_px, 3), np.uint8)
        jpeg = cv2.imencode('.jpg', image)[1].tobytes()
        deadline_s = time.monotonic() + PATIENCE_S
        answers = []
        for payload in (jpeg, b'no image'):
            frame = OffloadFrame(1, 1, model, size_px, payload, 640, 480, deadline_s)
            client.submit(frame, PATIENCE_S, replies.put)
            answers.append(replies.get(timeout=PATIENCE_S))
        good, bad = answers
        assert isinstance(good, EdgeReply)
        assert good.compute_s > 0.0
        assert isinstance(bad, OffloadError)
        assert bad.reason is FailureReason.REFUSED
        assert '8 bytes' in str(bad)
        client.close()
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0
        assert program.stdout.read() == ''
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


def test_bad_arguments_end_with_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        cases = {
            f'cannot listen on 127.0.0.1:{port}: Address already in use': ('--port', port),
            '--port = 70000': ('--port', '70000'),
            '--threads = 0': ('--threads', '0'),
            "model = 'huge'": ('--models', 'huge'),
            "manifest = 'none.yaml'": ('--manifest', 'none.yaml'),
            'cannot listen on no.such.host.invalid:8001': (
                '--insecure',
                '--host',
                'no.such.host.invalid',
            ),
            'label': ('--insecure', '--host', f'{"a" * 80}.local'),
            '--idle-s = 1000000000000.0': ('--idle-s', '1e12'),
            '--batch-delay-ms = nan': ('--batch-delay-ms', 'nan'),
            "host = '0.0.0.0'": ('--host', '0.0.0.0'),
            '--metrics-port = -1': ('--metrics-port', '-1'),
            '--max-requests-per-second = 0.0': ('--max-requests-per-second', '0'),
            "tls_certificate = 'none.pem'": ('--tls-certificate', 'none.pem'),
            "tokens = 'none.yaml'": ('--tokens', 'none.yaml'),
        }
        for named, arguments in cases.items():
            assert main(['edge-server', *arguments]) == 2
            said = capfd.readouterr()
            assert named in said.err
            assert len(said.err.splitlines()) == 1
            assert said.out == ''


def test_an_inference_engine_is_not_a_server_engine(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(['edge-server', '--engine', 'onnxruntime'])
    assert 'use --inference-engine onnxruntime' in capfd.readouterr().err


def test_a_full_disk_stops_neither_the_server_nor_its_end() -> None:
    with open('/dev/full', 'w') as full, socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
        free.close()
        program = subprocess.Popen(
            command('--port', str(port), '--models', 'vsdet_n', '--host', '0.0.0.0', '--insecure'),
            stdout=full,
            stderr=full,
        )
    try:
        client = GrpcEdgeClient(f'127.0.0.1:{port}')
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                client.probe(1.0)
                break
            except OffloadError:
                assert program.poll() is None
                assert time.monotonic() < deadline_s
        client.close()
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0
    finally:
        program.kill()
        program.wait()
