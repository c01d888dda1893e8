from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from edge_gated_runner import PATIENCE_S, GatedRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.service import SERVICE
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request, parse_reply
from visionscaling_ros.errors import EdgeError

FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)


@contextlib.asynccontextmanager
async def serving(
    runner: GatedRunner, **options
) -> AsyncIterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    server = EdgeServer(runner, port=0, **options)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield service_pb2_grpc.GRPCInferenceServiceStub(channel)
    finally:
        runner.gate.set()
        await server.stop()


def request(deadline_s: float = PATIENCE_S, robot_id: str = 'r1', **changes):
    return build_request(replace(FRAME, **changes), robot_id=robot_id, deadline_s=deadline_s)


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code(), failure.value.details()


async def until_entered(runner: GatedRunner) -> None:
    assert await asyncio.to_thread(runner.entered.wait, PATIENCE_S)


def test_infers_in_one_worker_thread() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        async with serving(runner) as stub:
            assert runner.warm
            replies = await asyncio.gather(
                *(stub.ModelInfer(request(payload=bytes(n))) for n in (3, 0, 1))
            )
            counts = [len(parse_reply(reply, FRAME).detections) for reply in replies]
            assert counts == [3, 0, 1]
            assert all(parse_reply(reply, FRAME).compute_s > 0.0 for reply in replies)
            assert len(runner.threads) == 1
            assert threading.get_ident() not in runner.threads

    asyncio.run(scenario())


def test_health_and_metadata() -> None:
    async def scenario() -> None:
        async with serving(GatedRunner()) as stub:
            assert (await stub.ServerLive(service_pb2.ServerLiveRequest())).live
            assert (await stub.ServerReady(service_pb2.ServerReadyRequest())).ready
            ready = [
                (await stub.ModelReady(service_pb2.ModelReadyRequest(name=name))).ready
                for name in ('tiny', 'huge')
            ]
            assert ready == [True, False]
            metadata = await stub.ModelMetadata(service_pb2.ModelMetadataRequest(name='tiny'))
            assert [tensor.name for tensor in metadata.inputs] == ['image']
            assert [tensor.datatype for tensor in metadata.outputs] == ['FP32', 'FP32', 'INT64']
            reply = await stub.ModelConfig(service_pb2.ModelConfigRequest(name='tiny'))
            parameters = {k: v.string_value for k, v in reply.config.parameters.items()}
            assert parameters == {'class_names': 'car,van', 'input_sizes_px': '128,320'}
            code, text = await refusal(
                stub.ModelMetadata(service_pb2.ModelMetadataRequest(name='huge'))
            )
            assert code is grpc.StatusCode.NOT_FOUND
            assert "'huge'" in text
            assert 'tiny, small' in text

    asyncio.run(scenario())


def test_bad_requests_are_named_and_harmless() -> None:
    async def scenario() -> None:
        async with serving(GatedRunner()) as stub:
            named = {}
            for bad in (
                request(model='huge'),
                request(input_size_px=300),
                request(payload=b'broken'),
                request(payload=b'bug'),
                request(payload=b'nan'),
                service_pb2.ModelInferRequest(model_name='tiny'),
            ):
                code, text = await refusal(stub.ModelInfer(bad))
                named[text] = code.name
            assert named == {
                "no model 'huge' here, there are: tiny, small": 'NOT_FOUND',
                'input_size_px is 300, allowed: (128, 320)': 'INVALID_ARGUMENT',
                'no JPEG in 6 bytes': 'INVALID_ARGUMENT',
                'ZeroDivisionError()': 'INTERNAL',
                'tiny.yaml: model tiny: not finite': 'INTERNAL',
                'inputs are [], allowed: exactly one, image': 'INVALID_ARGUMENT',
            }
            assert len(parse_reply(await stub.ModelInfer(request()), FRAME).detections) == 2

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        async with serving(runner, max_jobs=2) as stub:
            runner.gate.clear()
            first = asyncio.ensure_future(stub.ModelInfer(request()))
            await until_entered(runner)
            second = asyncio.ensure_future(stub.ModelInfer(request()))
            # Both are in once a third is refused; while they wait it must not have to.
            while True:
                third = asyncio.ensure_future(stub.ModelInfer(request(deadline_s=0.5)))
                code, text = await refusal(third)
                if 'waiting' in text:
                    break
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert not first.done()
            assert not second.done()
            runner.gate.set()
            for reply in await asyncio.gather(first, second):
                parse_reply(reply, FRAME)

    asyncio.run(scenario())


def test_a_deadline_that_cannot_be_met_is_refused_before_it_passes() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        async with serving(runner) as stub:
            runner.gate.clear()
            slow = asyncio.ensure_future(stub.ModelInfer(request()))
            await until_entered(runner)
            await asyncio.sleep(0.2)  # what the server learns this model takes
            runner.gate.set()
            await slow
            code, text = await refusal(stub.ModelInfer(request(deadline_s=0.1)))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert 'the deadline leaves 0.100 s' in text
            assert len(runner.ran) == 1
            code, _ = await refusal(stub.ModelInfer(request(), timeout=0.15))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert len(runner.ran) == 1
            await stub.ModelInfer(request(input_size_px=128, deadline_s=0.1))  # nothing known

    asyncio.run(scenario())


def test_a_cancelled_request_is_not_run() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        async with serving(runner, max_jobs=2) as stub:
            runner.gate.clear()
            first = asyncio.ensure_future(stub.ModelInfer(request(payload=b'1')))
            await until_entered(runner)
            second = stub.ModelInfer(request(payload=b'2'))
            while True:  # until it is queued: the next one is refused
                probe = stub.ModelInfer(request(payload=b'x'), timeout=0.2)
                if (await refusal(probe))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    break
            second.cancel()
            # Its place is free again: a third is taken instead of refused.
            while True:
                third = asyncio.ensure_future(stub.ModelInfer(request(payload=b'3')))
                await asyncio.wait({third}, timeout=0.2)
                if not third.done():
                    break
            runner.gate.set()
            await asyncio.gather(first, third)
            assert runner.ran == [b'1', b'3']

    asyncio.run(scenario())


def test_draining_finishes_what_is_under_way_and_says_no_to_the_rest() -> None:
    async def scenario() -> None:
        runner = GatedRunner()
        before = threading.active_count()
        server = EdgeServer(runner, port=0)
        await server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            health = health_pb2_grpc.HealthStub(channel)
            runner.gate.clear()
            first = asyncio.ensure_future(stub.ModelInfer(request()))
            await until_entered(runner)
            reply = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            stopping = asyncio.ensure_future(server.stop(PATIENCE_S))
            while (await stub.ServerReady(service_pb2.ServerReadyRequest())).ready:
                pass
            assert (await stub.ServerLive(service_pb2.ServerLiveRequest())).live
            reply = await health.Check(health_pb2.HealthCheckRequest())
            assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
            code, _ = await refusal(stub.ModelInfer(request()))
            assert code is grpc.StatusCode.UNAVAILABLE
            runner.gate.set()
            parse_reply(await first, FRAME)
            await stopping
        assert not any(t.name.startswith('edge-compute') for t in threading.enumerate())
        assert threading.active_count() <= before + 2  # gRPC's poller and asyncio's helper stay

    asyncio.run(scenario())


def test_a_port_in_use_is_one_clear_error() -> None:
    async def scenario() -> None:
        first = EdgeServer(GatedRunner(), port=0)
        await first.start()
        port = int(first.address.rpartition(':')[2])
        second = EdgeServer(GatedRunner(), port=port)
        with pytest.raises(EdgeError, match=rf'cannot listen on 127\.0\.0\.1:{port}: .*in use'):
            await second.start()
        await second.stop()
        await first.stop()
        third = EdgeServer(GatedRunner(), port=port)
        await third.start()
        await third.stop()

    asyncio.run(scenario())


def test_tritons_own_client_works_against_it() -> None:
    def use(address: str) -> None:
        with tritonclient.grpc.InferenceServerClient(address) as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready('tiny')
            assert client.get_model_metadata('tiny').name == 'tiny'
            image = tritonclient.grpc.InferInput('image', [1], 'BYTES')
            image.set_data_from_numpy(np.array([b'abc'], np.object_))
            result = client.infer('tiny', [image], parameters={'input_size_px': 320})
            assert result.as_numpy('boxes').shape == (3, 4)
            assert result.as_numpy('class_ids').tolist() == [0, 1, 2]

    async def scenario() -> None:
        server = EdgeServer(GatedRunner(), port=0)
        await server.start()
        try:
            await asyncio.to_thread(use, server.address)
        finally:
            await server.stop()

    asyncio.run(scenario())
