from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from edge_gated_runner import PATIENCE_S, GatedRunner
from edge_secrets import digest, write_private
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.server.server_security import ServerSecurity
from visionscaling_ros.edge.server.service import SERVICE
from visionscaling_ros.edge.server.small_requests import MOST_BYTES, MOST_OF_ONE

CHECK = '/grpc.health.v1.Health/Check'
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextlib.asynccontextmanager
async def serving(
    tokens: Path | None = None, **limits
) -> AsyncIterator[tuple[EdgeServer, grpc.aio.Channel]]:
    security = ServerSecurity(tokens_file=tokens)
    server = EdgeServer(GatedRunner(), port=0, limits=ServerLimits(**limits), security=security)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield server, channel
    finally:
        await server.stop()


async def code_of(call) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return 'OK'


@pytest.mark.parametrize('method', ['ServerLive', 'ServerReady'])
def test_signs_of_life_are_given_before_a_message_arrives(method: str) -> None:
    async def scenario() -> None:
        async with serving() as (_, channel):
            call = channel.stream_unary(f'/{SERVICE}/{method}')()
            assert await asyncio.wait_for(call, PATIENCE_S)

    asyncio.run(scenario())


@pytest.mark.parametrize('method', ['ModelMetadata', 'ModelStatistics', 'RepositoryIndex'])
def test_who_may_not_is_refused_before_his_message_arrives(method: str, tmp_path: Path) -> None:
    tokens = write_private(
        tmp_path / 'r.yaml', f'robots: {{a: {{token_sha256: ["{digest("secret")}"]}}}}'
    )

    async def scenario() -> str:
        async with serving(tokens) as (_, channel):
            call = channel.stream_unary(f'/{SERVICE}/{method}')()
            return await asyncio.wait_for(code_of(call), PATIENCE_S)

    assert asyncio.run(scenario()) == 'UNAUTHENTICATED'


def test_few_messages_of_one_address_are_received_at_a_time() -> None:
    async def scenario() -> None:
        async with serving(receive_s=PATIENCE_S) as (_, channel):
            slow = [channel.stream_unary(CHECK)() for _ in range(MOST_OF_ONE)]
            for call in slow:
                await call.wait_for_connection()
            health = health_pb2_grpc.HealthStub(channel)
            found = 'OK'
            while found == 'OK':  # until all of them have come in
                found = await code_of(health.Check(health_pb2.HealthCheckRequest()))
            assert found == 'RESOURCE_EXHAUSTED'
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert (await stub.ServerReady(service_pb2.ServerReadyRequest())).ready
            slow.pop().cancel()
            while found != 'OK':
                found = await code_of(health.Check(health_pb2.HealthCheckRequest()))
            for call in slow:
                call.cancel()

    asyncio.run(scenario())


def test_messages_that_are_too_long_or_none_are_refused() -> None:
    async def scenario() -> None:
        async with serving() as (_, channel):
            send = channel.unary_unary(f'/{SERVICE}/ModelMetadata')
            name = service_pb2.ModelMetadataRequest(name='x' * MOST_BYTES)
            assert await code_of(send(name.SerializeToString())) == 'INVALID_ARGUMENT'
            assert await code_of(send(b'\xff\xff')) == 'INVALID_ARGUMENT'
            name = service_pb2.ModelMetadataRequest(name='tiny')
            assert await code_of(send(name.SerializeToString())) == 'OK'

    asyncio.run(scenario())


def test_who_watches_keeps_his_connection_and_is_told_though_another_leaves() -> None:
    async def scenario() -> list[int]:
        async with serving(first_request_s=0.1) as (server, channel):
            health = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            leaver, watch = health.Watch(request), health.Watch(request)
            assert (await leaver.read()).status == SERVING
            seen = [(await watch.read()).status]
            leaver.cancel()
            host, _, port = server.address.rpartition(':')
            reader, silent = await asyncio.open_connection(host, int(port))
            with contextlib.suppress(ConnectionResetError):
                await asyncio.wait_for(reader.read(), PATIENCE_S)  # shut down for its silence
            silent.close()
            stopping = asyncio.ensure_future(server.stop())
            seen.append((await watch.read()).status)
            await stopping
            return seen

    assert asyncio.run(scenario()) == [SERVING, NOT_SERVING]


def test_who_watches_and_does_not_read_does_not_keep_the_server_from_ending() -> None:
    def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:  # RFC 9113, 4.1
        head = len(body).to_bytes(3, 'big') + bytes([kind, flags])
        return head + stream.to_bytes(4, 'big') + body

    def literal(name: str, value: str) -> bytes:  # RFC 7541, 6.2.2
        return b'\0' + b''.join(bytes([len(t)]) + t.encode() for t in (name, value))

    async def scenario() -> None:
        async with serving() as (server, _):
            host, _, port = server.address.rpartition(':')
            reader, writer = await asyncio.open_connection(host, int(port))
            headers = {
                ':method': 'POST',
                ':scheme': 'http',
                ':path': '/grpc.health.v1.Health/Watch',
                ':authority': 'edge',
                'content-type': 'application/grpc',
                'te': 'trailers',
            }
            no_window = b'\0\x04\0\0\0\0'  # SETTINGS_INITIAL_WINDOW_SIZE = 0
            writer.write(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, no_window))
            writer.write(frame(1, 4, 1, b''.join(literal(*item) for item in headers.items())))
            writer.write(frame(0, 1, 1, bytes(5)))
            kind = None
            while kind != 1:  # its headers: it is being told
                head = await reader.readexactly(9)
                kind = head[3]
                await reader.readexactly(int.from_bytes(head[:3], 'big'))
            await asyncio.wait_for(server.stop(drain_s=0.0), PATIENCE_S)
            writer.close()

    asyncio.run(scenario())
