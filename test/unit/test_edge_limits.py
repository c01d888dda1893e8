from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import fields, replace

import grpc
import pytest
from edge_gated_runner import PATIENCE_S, GatedRunner
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from visionscaling_ros.edge.server.peer import address_group, parse_peer
from visionscaling_ros.edge.server.rate_limiter import MOST_KEYS, RateLimiter
from visionscaling_ros.edge.server.request_outcome import RequestOutcome
from visionscaling_ros.edge.server.request_wire import MOST_FIELDS, check_wire
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_limits import MOST, MOST_SECONDS, ServerLimits
from visionscaling_ros.edge.server.service import SERVICE
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request, parse_reply
from visionscaling_ros.errors import EdgeError, InvalidValueError

FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)
INFER = f'/{SERVICE}/ModelInfer'


@contextlib.asynccontextmanager
async def serving(
    runner: GatedRunner | None = None, **limits
) -> AsyncIterator[tuple[EdgeServer, grpc.aio.Channel]]:
    runner = runner or GatedRunner()
    server = EdgeServer(runner, port=0, limits=ServerLimits(**limits))
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield server, channel
    finally:
        runner.gate.set()
        await server.stop()


def request(**changes) -> bytes:
    frame = replace(FRAME, **changes)
    return build_request(frame, robot_id='r1', deadline_s=PATIENCE_S).SerializeToString()


async def send(channel: grpc.aio.Channel, data: bytes) -> tuple[str, str]:
    try:
        reply = await channel.unary_unary(INFER)(data)
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details()
    parse_reply(service_pb2.ModelInferResponse.FromString(reply), FRAME)
    return 'OK', ''


def test_requests_that_are_none_are_refused_and_counted() -> None:
    async def scenario() -> None:
        async with serving(message_bytes=10_000) as (server, channel):
            found = {
                (await send(channel, data))[0]
                for data in (b'\xff' * 50, b'\x2a\x00' * 4000, b'\x89PNG', b'')
            }
            assert found == {'INVALID_ARGUMENT', 'NOT_FOUND'}
            code, text = await send(channel, request(payload=bytes(11_000)))
            assert code == 'RESOURCE_EXHAUSTED'
            assert '10000' in text
            assert (await send(channel, request()))[0] == 'OK'
            statistics = server.statistics
            while statistics.in_flight:  # gRPC answers what is too large before we count it
                await asyncio.sleep(0)
            assert statistics.total(RequestOutcome.INVALID) == 5
            assert statistics.received == 6

    asyncio.run(scenario())


@given(st.binary(max_size=300))
def test_what_protobuf_cannot_read_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with contextlib.suppress(EdgeError):
        check_wire(data)


@given(st.binary(max_size=5000), st.text(max_size=100), st.integers(-(2**63), 2**63 - 1))
def test_requests_that_make_sense_pass(payload: bytes, text: str, number: int) -> None:
    message = service_pb2.ModelInferRequest(model_name=text, id=text)
    message.inputs.add(name=text, datatype='BYTES', shape=[1, number])
    message.inputs[0].contents.bytes_contents.append(payload)
    message.raw_input_contents.append(payload)
    message.parameters[text].int64_param = number
    check_wire(message.SerializeToString())


def test_a_message_is_measured_after_it_is_unpacked() -> None:
    async def scenario() -> None:
        async with serving(message_bytes=100_000) as (_, channel):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await channel.unary_unary(INFER)(
                    bytes(3_000_000), compression=grpc.Compression.Gzip
                )
            assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (await send(channel, request()))[0] == 'OK'

    asyncio.run(scenario())


def test_requests_of_too_many_parts_are_refused() -> None:
    many = service_pb2.ModelInferRequest()
    for _ in range(MOST_FIELDS + 1):
        many.inputs.add()
    nested = service_pb2.ModelInferRequest()
    nested.inputs.add().contents.bytes_contents.extend([b''] * (MOST_FIELDS + 1))
    long = service_pb2.ModelInferRequest(id='x' * 70_000)
    shape = service_pb2.ModelInferRequest()
    shape.inputs.add(shape=[1] * 70_000)
    for message in (many, nested, long, shape):
        with pytest.raises(EdgeError, match='more than'):
            check_wire(message.SerializeToString())


def test_one_robot_cannot_take_all_places() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        async with serving(runner, requests_per_robot=2) as (server, channel):
            runner.gate.clear()
            held = [asyncio.ensure_future(send(channel, request())) for _ in range(2)]
            while server.statistics.in_flight < 2:
                await asyncio.sleep(0)
            code, text = await send(channel, request())
            assert code == 'RESOURCE_EXHAUSTED'
            assert 'allowed: 2' in text
            assert server.statistics.total(RequestOutcome.REFUSED_QUOTA) == 1
            runner.gate.set()
            assert await asyncio.gather(*held) == [('OK', '')] * 2

    asyncio.run(scenario())


def test_all_robots_together_cannot_either() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        async with serving(runner, requests=1) as (server, channel):
            runner.gate.clear()
            held = asyncio.ensure_future(send(channel, request()))
            while not server.statistics.in_flight:
                await asyncio.sleep(0)
            code, _ = await send(channel, request())
            assert code == 'RESOURCE_EXHAUSTED'
            assert server.statistics.total(RequestOutcome.REFUSED_OVERLOAD) == 1
            runner.gate.set()
            await held

    asyncio.run(scenario())


def test_a_request_that_does_not_arrive_is_given_up() -> None:
    async def scenario() -> None:
        async with serving(receive_s=0.05) as (server, channel):
            call = channel.stream_unary(INFER)()
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call
            assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert server.statistics.total(RequestOutcome.CANCELLED) == 1

    asyncio.run(scenario())


def test_out_of_memory_is_a_refusal() -> None:
    async def scenario() -> None:
        async with serving() as (server, channel):
            found = await send(channel, request(payload=b'huge'))
            assert found == ('RESOURCE_EXHAUSTED', 'out of memory')
            assert (await send(channel, request()))[0] == 'OK'
            assert server.statistics.total(RequestOutcome.REFUSED_OVERLOAD) == 1

    asyncio.run(scenario())


async def connect(server: EdgeServer, source: str = '127.0.0.1') -> asyncio.StreamReader:
    host, _, port = server.address.rpartition(':')
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    reader.writer = writer  # type: ignore[attr-defined]  # or it closes
    return reader


def test_connections_that_say_nothing_are_closed_and_others_stay() -> None:
    async def scenario() -> None:
        limits = {'first_request_s': 0.2, 'handshake_s': PATIENCE_S}
        async with serving(**limits) as (server, channel):
            assert (await send(channel, request()))[0] == 'OK'
            silent = [await connect(server) for _ in range(5)]
            silent[0].writer.write(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
            silent[1].writer.write(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0')
            silent[2].writer.write(b'GET / HTTP/1.1\r\n\r\n')
            for reader in silent:
                with contextlib.suppress(ConnectionResetError):
                    await asyncio.wait_for(reader.read(), PATIENCE_S)  # to its end
            assert channel.get_state() is grpc.ChannelConnectivity.READY
            assert (await send(channel, request()))[0] == 'OK'

    asyncio.run(scenario())


def test_one_address_cannot_take_all_connections() -> None:
    async def scenario() -> None:
        limits = {'connections': 12, 'connections_per_address': 4}
        async with serving(**limits) as (server, _):
            attackers = [await connect(server, '127.0.0.66') for _ in range(30)]
            code = ''
            while code != 'OK':  # until the surplus has been shut down
                options = [('grpc.use_local_subchannel_pool', 1)]
                async with grpc.aio.insecure_channel(server.address, options) as fresh:
                    code, _ = await send(fresh, request())
            del attackers

    asyncio.run(scenario())


@given(st.lists(st.floats(0.0, 10.0), max_size=200), st.floats(0.5, 50.0))
def test_no_more_than_a_seconds_worth_above_the_rate_gets_in(
    gaps_s: list[float], rate_per_s: float
) -> None:
    limiter = RateLimiter()
    now_s, allowed_s = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        if limiter.allow('a', rate_per_s, now_s):
            allowed_s.append(now_s)
    for first in range(len(allowed_s)):
        for last in range(first, len(allowed_s)):
            most = rate_per_s * (allowed_s[last] - allowed_s[first]) + max(1.0, rate_per_s) + 1
            assert last - first + 1 <= most + 1e-6


def test_many_names_do_not_fill_the_memory() -> None:
    limiter = RateLimiter()
    for k in range(3 * MOST_KEYS):
        assert limiter.allow(str(k), 1.0, 0.0)
    assert len(limiter._paid_at_s) <= MOST_KEYS


def test_peers() -> None:
    assert parse_peer('ipv4:10.0.0.1:50') == ('10.0.0.1', 50)
    assert parse_peer('ipv6:%5B::1%5D:50') == ('::1', 50)
    assert parse_peer('ipv6:[::ffff:10.0.0.1]:50') == ('10.0.0.1', 50)
    assert parse_peer('ipv6:%5Bfe80::1%252%5D:50') == ('fe80::1', 50)  # as its socket says
    assert parse_peer('unix:/a') == ('unix:/a', 0)
    assert address_group('10.0.0.1') == '10.0.0.1'
    assert address_group('2001:db8::1:2:3:4') == address_group('2001:db8::9') == '2001:db8::'
    assert address_group('fe80::1%eth0') == 'fe80::'


def test_limits_are_numbers_above_0() -> None:
    for value in (0, -1, float('nan'), float('inf')):
        with pytest.raises(InvalidValueError, match='message_bytes'):
            ServerLimits(message_bytes=value)
    for name in ('message_bytes', 'requests_per_robot', 'idle_s', 'robots'):
        with pytest.raises(InvalidValueError, match=f'{name} = 1.*at most'):
            ServerLimits(**{name: 1e12})
    names = [item.name for item in fields(ServerLimits)]
    most = ServerLimits(**{n: MOST_SECONDS if n.endswith('_s') else MOST for n in names})

    async def scenario() -> None:
        grpc.aio.server(options=most.channel_options())  # it can be told so

    asyncio.run(scenario())


def test_as_many_models_as_allowed() -> None:
    with pytest.raises(InvalidValueError, match='models = 2'):
        EdgeServer(GatedRunner(), limits=ServerLimits(models=1))


def test_sockets_of_others_are_left_alone() -> None:
    async def scenario() -> None:
        mine, other = socket.socketpair()
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(('127.0.0.1', 0)))
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            accepted = stack.enter_context(listener.accept()[0])
            stack.enter_context(mine)
            stack.enter_context(other)
            async with serving(first_request_s=0.001) as (server, channel):
                while server._guard.closed < 1:
                    reader = await connect(server)
                    with contextlib.suppress(ConnectionResetError):
                        await reader.read()
                assert (await send(channel, request()))[0] == 'OK'
            client.sendall(b'x')
            assert accepted.recv(1) == b'x'
            mine.sendall(b'y')
            assert other.recv(1) == b'y'

    asyncio.run(scenario())
