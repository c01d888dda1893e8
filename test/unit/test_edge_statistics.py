from __future__ import annotations

import asyncio
import contextlib
import random
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from edge_gated_runner import PATIENCE_S, GatedRunner
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.server.request_outcome import RequestOutcome
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.server.server_metrics import ServerMetrics
from visionscaling_ros.edge.server.server_statistics import Histogram, ServerStatistics
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request

LABELS = ('robot', 'outcome', 'model', 'le')
FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)

COMPUTE_SECONDS = b'visionscaling_edge_robot_compute_seconds_total{robot="'


@contextlib.asynccontextmanager
async def serving(**options) -> AsyncIterator[tuple[EdgeServer, grpc.aio.Channel]]:
    server = EdgeServer(GatedRunner(), port=0, metrics_port=0, **options)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield server, channel
    finally:
        await server.stop()


def request(robot_id: str = 'r1', deadline_s: float = PATIENCE_S, **changes):
    return build_request(replace(FRAME, **changes), robot_id=robot_id, deadline_s=deadline_s)


async def metrics(server: EdgeServer) -> dict[tuple[str, ...], float]:
    def fetch() -> str:
        with urllib.request.urlopen(f'http://{server.metrics_address}/metrics') as page:
            return page.read().decode()

    families = text_string_to_metric_families(await asyncio.to_thread(fetch))
    return {
        (
            sample.name.removeprefix('visionscaling_edge_'),
            *(sample.labels[name] for name in LABELS if name in sample.labels),
        ): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_request_has_exactly_one_outcome() -> None:
    rng = random.Random(0)

    async def one(stub) -> None:
        kind = rng.choice(['good', 'bug', 'broken', 'huge', 'model', 'late', 'cancel', 'gone'])
        changes = {'payload': kind.encode()} if kind in ('bug', 'broken', 'huge') else {}
        if kind == 'model':
            changes = {'model': 'none'}
        message = request(rng.choice(['a', 'b', '']), **changes)
        if kind == 'late':
            message.parameters['deadline_s'].double_param = 0.0
        call = stub.ModelInfer(message, timeout=0.001 if kind == 'gone' else None)
        if kind == 'cancel':
            await asyncio.sleep(rng.random() * 0.005)
            call.cancel()
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await call

    async def scenario() -> None:
        async with serving(limits=ServerLimits(requests=20, requests_per_robot=15)) as (
            server,
            channel,
        ):
            statistics = server.statistics
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            calls = [asyncio.ensure_future(one(stub)) for _ in range(400)]
            pending = set(calls)
            while pending:
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                ended = sum(statistics.outcomes.values())
                assert statistics.received == ended + statistics.in_flight
            await asyncio.gather(*calls)
            while statistics.in_flight:
                await asyncio.sleep(0)
            assert statistics.received == sum(statistics.outcomes.values()) <= 400
            seen = {outcome for _, outcome in statistics.outcomes}
            assert {RequestOutcome.OK, RequestOutcome.FAILED, RequestOutcome.INVALID} <= seen
            assert statistics.total(RequestOutcome.OK) <= sum(
                counts.succeeded for counts in statistics.models.values()
            )
            found = await metrics(server)
            ended = sum(value for key, value in found.items() if key[0] == 'requests_total')
            assert found[('received_total',)] == ended + found[('in_flight',)]

    asyncio.run(scenario())


def test_metrics_tell_robots_models_and_times() -> None:
    async def scenario() -> dict[tuple[str, ...], float]:
        async with serving() as (server, channel):
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            for robot in ('a', 'a', 'b'):
                await stub.ModelInfer(request(robot))
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.ModelInfer(request('b', payload=b'bug'))
            return await metrics(server)

    found = asyncio.run(scenario())
    assert found['requests_total', 'a', 'ok'] == 2
    assert found['requests_total', 'b', 'ok'] == 1
    assert found['requests_total', 'b', 'failed'] == 1
    assert found[('queue_seconds_count',)] == found[('compute_seconds_count',)] == 3
    assert found['batch_size_bucket', '1.0'] == 3
    assert found['model_ready', 'tiny'] == 1
    assert found['queue_length', 'small'] == 0
    assert found[('received_bytes_total',)] > 0


def test_robots_beyond_a_number_are_counted_together() -> None:
    statistics = ServerStatistics(robots=2)
    for robot in ('a', 'b', 'c', 'd', 'a', ''):
        with statistics.request() as record:
            record.robot_id = robot
            record.outcome = RequestOutcome.OK
    assert {robot: count for (robot, _), count in statistics.outcomes.items()} == {
        'a': 2,
        'b': 1,
        'other': 2,
        'unknown': 1,
    }
    page = ServerMetrics(statistics, (), lambda: {'a': 1.0, 'c': 2.0, '(others)': 3.0}).text()
    seconds = [line for line in page.splitlines() if line.startswith(COMPUTE_SECONDS)]
    assert seconds == [COMPUTE_SECONDS + b'a"} 1.0', COMPUTE_SECONDS + b'other"} 5.0']


def test_a_request_that_ends_with_an_error_of_our_own_has_failed() -> None:
    statistics = ServerStatistics(robots=2)
    with pytest.raises(ZeroDivisionError), statistics.request():
        raise ZeroDivisionError
    assert statistics.total(RequestOutcome.FAILED) == 1
    assert statistics.in_flight == 0


def test_histogram_bins_include_their_upper_end() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.add(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.sum == 14.0


def test_tritons_statistics_and_index() -> None:
    async def scenario() -> None:
        async with serving() as (_, channel):
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            for _ in range(3):
                await stub.ModelInfer(request())
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.ModelInfer(request(payload=b'nan'))
            reply = await stub.ModelStatistics(service_pb2.ModelStatisticsRequest(name='tiny'))
            (tiny,) = reply.model_stats
            assert tiny.inference_count == 3
            assert tiny.execution_count == sum(
                item.compute_infer.count for item in tiny.batch_stats
            )
            assert tiny.inference_stats.success.count == 3
            assert tiny.inference_stats.fail.count == 1
            times = tiny.inference_stats
            assert times.success.ns == pytest.approx(times.queue.ns + times.compute_infer.ns, abs=2)
            assert times.compute_infer.ns > 0
            assert tiny.last_inference > 0
            reply = await stub.ModelStatistics(service_pb2.ModelStatisticsRequest())
            assert [item.name for item in reply.model_stats] == ['tiny', 'small']
            reply = await stub.RepositoryIndex(service_pb2.RepositoryIndexRequest())
            assert [(item.name, item.state) for item in reply.models] == [
                ('tiny', 'READY'),
                ('small', 'READY'),
            ]

    asyncio.run(scenario())


def test_the_networks_own_tensors_are_served_by_name() -> None:
    def use(address: str) -> None:
        with tritonclient.grpc.InferenceServerClient(address) as client:
            metadata = client.get_model_metadata('small')
            assert [item.name for item in metadata.inputs] == ['image', 'x']
            assert list(metadata.inputs[1].shape) == [-1, 3, -1, -1]
            assert [item.name for item in metadata.outputs][3:] == ['y']
            assert client.get_model_config('small').config.max_batch_size == 8
            tensor = np.arange(3 * 32 * 64, dtype=np.float32).reshape(1, 3, 32, 64)
            image = tritonclient.grpc.InferInput('x', tensor.shape, 'FP32')
            image.set_data_from_numpy(tensor)
            assert client.infer('small', [image]).as_numpy('y').tolist() == [[0.0, 1.0]]

    async def scenario() -> None:
        async with serving() as (server, _):
            await asyncio.to_thread(use, server.address)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ('text', 'answer'),
    [
        (b'GET / HTTP/1.1\r\n\r\n', b'404'),
        (b'POST /metrics HTTP/1.1\r\n\r\n', b'405'),
        (b'\x16\x03\x01 hello\r\n\r\n', b'400'),
        (b'GET ' + b'x' * 20_000, b''),
    ],
)
def test_the_metrics_page_survives_what_is_no_request(text: bytes, answer: bytes) -> None:
    async def scenario() -> None:
        async with serving() as (server, _):
            host, _, port = server.metrics_address.rpartition(':')
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(text)
            with contextlib.suppress(ConnectionResetError):
                assert answer in (await reader.read())[:20]
            writer.close()
            assert await metrics(server)

    asyncio.run(scenario())


def test_few_at_a_time_may_ask_for_metrics() -> None:
    async def scenario() -> None:
        async with serving() as (server, _):
            host, _, port = server.metrics_address.rpartition(':')
            many = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
            refused = [reader for reader, _ in many[8:]]
            assert (
                await asyncio.wait_for(
                    asyncio.gather(*(reader.read() for reader in refused)), PATIENCE_S
                )
                == [b''] * 12
            )
            for _, writer in many:
                writer.close()
            while True:  # their places are free again
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    assert await metrics(server)
                    break

    asyncio.run(scenario())
