from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from edge_secrets import Authority, Pair, write_private
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError, OffloadFrame
from visionscaling_ros.edge.wire.protocol import EdgeReply, build_reply, parse_request
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.errors import InvalidValueError

PATIENCE_S = 20.0
FOUND = RelativeDetections(
    np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), np.array([0.9], np.float32), np.array([1])
)


def make_frame(number: int = 5) -> OffloadFrame:
    return OffloadFrame(number, 2, 'tiny', 320, b'jpeg', 640, 480, time.monotonic() + 60.0)


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with whatever ``answer`` makes of the request."""

    def __init__(self) -> None:
        self.answer: Callable = lambda request, context: build_reply(
            request, EdgeReply(FOUND, 0.001, 0.002, 1.0)
        )

    def ServerLive(self, request, context):  # noqa: N802
        return service_pb2.ServerLiveResponse(live=True)

    def ModelInfer(self, request, context):  # noqa: N802
        return self.answer(request, context)


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def client(servicer: Servicer) -> Iterator[GrpcEdgeClient]:
    server = grpc.server(ThreadPoolExecutor(4))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    made = GrpcEdgeClient(f'127.0.0.1:{port}', robot_id='r1')
    yield made
    made.close()
    server.stop(None).wait()


def ask(
    client: GrpcEdgeClient, frame: OffloadFrame | None = None, timeout_s: float = PATIENCE_S
) -> EdgeReply | OffloadError:
    replies: queue.Queue[EdgeReply | OffloadError] = queue.Queue()
    client.submit(frame or make_frame(), timeout_s, replies.put)
    reply = replies.get(timeout=2 * PATIENCE_S)
    assert replies.empty()
    return reply


def reason_of(reply: EdgeReply | OffloadError) -> FailureReason:
    assert isinstance(reply, OffloadError), reply
    return reply.reason


def test_request_and_reply(client: GrpcEdgeClient, servicer: Servicer) -> None:
    calls = []

    def answer(request, context):
        calls.append(parse_request(request))
        return build_reply(request, EdgeReply(FOUND, 0.001, 0.002, 0.5))

    servicer.answer = answer
    reply = ask(client, timeout_s=15.0)
    assert isinstance(reply, EdgeReply)
    assert reply.detections.class_ids.tolist() == [1]
    assert (reply.queue_s, reply.compute_s, reply.share) == (0.001, 0.002, 0.5)
    (call,) = calls
    assert (call.model, call.robot_id, call.slot, call.frame_number) == ('tiny', 'r1', 2, 5)
    assert call.deadline_s == 15.0


def test_submit_does_not_wait_and_replies_may_overtake(
    client: GrpcEdgeClient, servicer: Servicer
) -> None:
    gate = threading.Event()

    def answer(request, context):
        if request.id == '0-0':
            gate.wait(PATIENCE_S)
        return build_reply(request, EdgeReply(FOUND, 0.0, 0.0, 1.0))

    servicer.answer = answer
    replies: queue.Queue[int] = queue.Queue()
    for number in range(3):
        client.submit(make_frame(number), PATIENCE_S, lambda _, n=number: replies.put(n))
    assert {replies.get(timeout=PATIENCE_S) for _ in range(2)} == {1, 2}
    gate.set()
    assert replies.get(timeout=PATIENCE_S) == 0


def test_probe_measures_a_round_trip(client: GrpcEdgeClient) -> None:
    assert 0.0 < client.probe(PATIENCE_S) < PATIENCE_S


def test_no_answer_in_time(client: GrpcEdgeClient, servicer: Servicer) -> None:
    gate = threading.Event()
    servicer.answer = lambda request, context: gate.wait(PATIENCE_S)
    assert reason_of(ask(client, timeout_s=0.05)) is FailureReason.TIMEOUT
    gate.set()


@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, FailureReason.REFUSED),
        (grpc.StatusCode.INVALID_ARGUMENT, FailureReason.REFUSED),
        (grpc.StatusCode.NOT_FOUND, FailureReason.REFUSED),
        (grpc.StatusCode.UNAVAILABLE, FailureReason.UNAVAILABLE),
        (grpc.StatusCode.INTERNAL, FailureReason.BAD_REPLY),
    ],
)
def test_what_the_server_says(client, servicer, code, reason) -> None:
    servicer.answer = lambda request, context: context.abort(code, 'because')
    reply = ask(client)
    assert reason_of(reply) is reason
    assert 'because' in str(reply)
    assert client.address in str(reply)


def test_a_server_that_answers_wrong_tensors(client, servicer) -> None:
    def answer(request, context):
        reply = build_reply(request, EdgeReply(FOUND, 0.0, 0.0, 1.0))
        reply.raw_output_contents[0] = b'123'
        return reply

    servicer.answer = answer
    reply = ask(client)
    assert reason_of(reply) is FailureReason.BAD_REPLY
    assert 'boxes' in str(reply)


def test_a_server_that_answers_no_protobuf() -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b'\xff' * 50)
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                'inference.GRPCInferenceService', {'ModelInfer': handler, 'ServerLive': handler}
            )
        ]
    )
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    client = GrpcEdgeClient(f'127.0.0.1:{port}')
    try:
        assert reason_of(ask(client)) is FailureReason.BAD_REPLY
        with pytest.raises(OffloadError):
            client.probe(PATIENCE_S)
    finally:
        client.close()
        server.stop(None).wait()


@pytest.mark.parametrize('greeting', [b'HTTP/1.1 200 OK\r\n\r\nhello', b'\x00' * 4000, b''])
def test_a_server_that_does_not_speak_grpc(greeting: bytes) -> None:
    listener = socket.create_server(('127.0.0.1', 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(greeting)

    thread = threading.Thread(target=serve)
    thread.start()
    client = GrpcEdgeClient(f'127.0.0.1:{listener.getsockname()[1]}')
    try:
        assert reason_of(ask(client, timeout_s=5.0)) in (
            FailureReason.UNAVAILABLE,
            FailureReason.BAD_REPLY,
            FailureReason.TIMEOUT,
        )
        with pytest.raises(OffloadError):
            client.probe(5.0)
    finally:
        client.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_no_server() -> None:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
    client = GrpcEdgeClient(f'127.0.0.1:{port}')
    assert reason_of(ask(client)) is FailureReason.UNAVAILABLE
    with pytest.raises(OffloadError) as failure:
        client.probe(PATIENCE_S)
    assert failure.value.reason is FailureReason.UNAVAILABLE
    client.close()


def test_closing_answers_what_is_in_flight(client: GrpcEdgeClient, servicer: Servicer) -> None:
    gate, entered = threading.Event(), threading.Event()

    def answer(request, context):
        entered.set()
        gate.wait(PATIENCE_S)

    servicer.answer = answer
    replies: queue.Queue = queue.Queue()
    client.submit(make_frame(), PATIENCE_S, replies.put)
    assert entered.wait(PATIENCE_S)
    client.close()
    client.close()
    assert reason_of(replies.get(timeout=PATIENCE_S)) is FailureReason.SHUTDOWN
    gate.set()
    assert reason_of(ask(client)) is FailureReason.SHUTDOWN
    with pytest.raises(OffloadError):
        client.probe(1.0)


@pytest.mark.parametrize('address', ['', 'host', 'host:', ':80', 'host:x', 'host:70000', 'h:-1'])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(InvalidValueError, match='HOST:PORT'):
        GrpcEdgeClient(address)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.contextmanager
def secure_client(
    servicer: Servicer, pair: Pair, credentials: ClientCredentials
) -> Iterator[GrpcEdgeClient]:
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    identity = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])
    port = server.add_secure_port('127.0.0.1:0', identity)
    server.start()
    client = GrpcEdgeClient(f'127.0.0.1:{port}', credentials=credentials)
    try:
        yield client
    finally:
        client.close()
        server.stop(None).wait()


@pytest.mark.parametrize(('name', 'server_name'), [('127.0.0.1', ''), ('edge.box', 'edge.box')])
def test_encryption_is_between_grpc_and_the_server(
    servicer: Servicer, authority: Authority, name: str, server_name: str
) -> None:
    credentials = ClientCredentials(ca_file=authority.file, server_name=server_name)
    with secure_client(servicer, authority.issue('server', name), credentials) as client:
        assert isinstance(ask(client), EdgeReply)


@pytest.mark.parametrize(
    ('name', 'expired', 'words'),
    [('other.box', False, 'for another name'), ('127.0.0.1', True, 'certificate has expired')],
)
def test_a_certificate_that_is_not_good_is_named(
    servicer: Servicer, authority: Authority, name: str, expired: bool, words: str
) -> None:
    pair = authority.issue('server', name, expired=expired)
    credentials = ClientCredentials(ca_file=authority.file)
    with secure_client(servicer, pair, credentials) as client:
        for _ in range(2):
            with pytest.raises(OffloadError, match=f'TLS failed: .*{words}') as failure:
                client.probe(PATIENCE_S)
            assert failure.value.reason is FailureReason.UNAVAILABLE
            assert 'unix' not in str(failure.value)


def test_a_token_goes_with_every_request_and_may_be_replaced(
    servicer: Servicer, tmp_path: Path
) -> None:
    seen: list[str] = []

    def answer(request, context):
        seen.append(dict(context.invocation_metadata())['authorization'])
        if seen[-1] != 'Bearer good':
            context.abort(grpc.StatusCode.UNAUTHENTICATED, 'no such token')
        return build_reply(request, EdgeReply(FOUND, 0.0, 0.0, 1.0))

    servicer.answer = answer
    token = write_private(tmp_path / 'token', 'old')
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    client = GrpcEdgeClient(f'127.0.0.1:{port}', credentials=ClientCredentials(token_file=token))
    try:
        assert reason_of(ask(client)) is FailureReason.UNAUTHORIZED
        write_private(token, 'good')
        client.probe(PATIENCE_S)
        assert isinstance(ask(client), EdgeReply)
        assert seen == ['Bearer old', 'Bearer good']
        token.unlink()
        with pytest.raises(OffloadError, match='token_file') as failure:
            client.probe(PATIENCE_S)
        assert failure.value.reason is FailureReason.UNAUTHORIZED
    finally:
        client.close()
        server.stop(None).wait()


def test_a_server_without_statistics_is_no_failure_of_the_client(client: GrpcEdgeClient) -> None:
    with pytest.raises(OffloadError, match='UNIMPLEMENTED'):
        client.counters(PATIENCE_S)


def test_closing_leaves_no_thread_and_no_file(servicer: Servicer) -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()

    def used() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir('/proc/self/fd'))

    before = (0, 0)
    for round_number in range(100):
        if round_number == 20:
            before = used()
        made = GrpcEdgeClient(f'127.0.0.1:{port}')
        made.probe(PATIENCE_S)
        made.close()
    give_up_s = time.monotonic() + PATIENCE_S
    while not all(now <= was + 2 for now, was in zip(used(), before, strict=True)):
        assert time.monotonic() < give_up_s, (before, used())
        time.sleep(0.05)
    server.stop(None).wait()
