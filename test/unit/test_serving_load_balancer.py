"""The load balancer's configuration that ships, with a real HAProxy, servers and robot's client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from edge_gated_runner import PATIENCE_S, GatedRunner
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.server.request_outcome import RequestOutcome
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request

CONFIG = Path(__file__).resolve().parents[2] / 'config' / 'load_balancer' / 'haproxy.cfg'
HAPROXY = shutil.which('haproxy', path=f'{os.environ.get("PATH", "")}:/usr/sbin')
FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)
REQUESTS = 20

pytestmark = pytest.mark.skipif(HAPROXY is None, reason='haproxy is not installed')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def balanced() -> AsyncIterator[
    tuple[list[EdgeServer], service_pb2_grpc.GRPCInferenceServiceStub]
]:
    """Two servers, HAProxy in front of them, and one robot's connection to it."""
    servers = [EdgeServer(GatedRunner(), port=0) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            await server.start()
            stack.push_async_callback(server.stop)
        listen = f'127.0.0.1:{free_port()}'
        assert HAPROXY is not None
        process = subprocess.Popen(
            [HAPROXY, '-db', '-f', str(CONFIG)],
            env={
                **os.environ,
                'LISTEN': listen,
                'EDGE_1': servers[0].address,
                'EDGE_2': servers[1].address,
            },
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(listen))
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        live = await stub.ServerLive(
            service_pb2.ServerLiveRequest(), timeout=PATIENCE_S, wait_for_ready=True
        )
        assert live.live
        yield servers, stub


def answered(server: EdgeServer) -> int:
    return server.statistics.total(RequestOutcome.OK)


async def ask(stub: service_pb2_grpc.GRPCInferenceServiceStub, number: int) -> None:
    frame = replace(FRAME, frame_number=number)
    await stub.ModelInfer(build_request(frame, robot_id='r1', deadline_s=PATIENCE_S))


def test_the_requests_of_one_connection_are_spread_over_the_servers() -> None:
    async def scenario() -> None:
        async with balanced() as (servers, stub):
            await asyncio.gather(*(ask(stub, number) for number in range(REQUESTS)))
            assert sum(map(answered, servers)) == REQUESTS
            assert min(map(answered, servers)) >= REQUESTS // 4

    asyncio.run(scenario())


def test_a_server_that_ends_is_left_out_and_no_request_is_computed_twice() -> None:
    async def scenario() -> None:
        async with balanced() as (servers, stub):
            await asyncio.gather(*(ask(stub, number) for number in range(REQUESTS)))
            await servers[0].stop()
            before = answered(servers[1])
            for number in range(REQUESTS):
                await ask(stub, number)
            assert answered(servers[1]) == before + REQUESTS
            assert servers[1].statistics.received == answered(servers[1])

    asyncio.run(scenario())


def test_a_refusal_reaches_the_robot_as_it_is() -> None:
    async def scenario() -> None:
        async with balanced() as (_, stub):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await stub.ModelInfer(
                    build_request(replace(FRAME, model='?'), robot_id='r1', deadline_s=1.0)
                )
            assert failure.value.code() is grpc.StatusCode.NOT_FOUND

    asyncio.run(scenario())
