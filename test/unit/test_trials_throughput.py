"""The load that compares servers, against one of this package's own."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.errors import EdgeError, InvalidValueError
from visionscaling_ros.trials import throughput
from visionscaling_ros.trials.closed_loop import put_under_load

REQUEST = service_pb2.ModelInferRequest(model_name='m').SerializeToString()


class Counting(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self) -> None:
        self.requests = 0
        self.peers: set[str] = set()

    def ModelInfer(self, request, context):  # noqa: N802
        self.requests += 1
        self.peers.add(context.peer())
        if request.model_name != 'm':
            context.abort(grpc.StatusCode.NOT_FOUND, f'no {request.model_name}')
        return service_pb2.ModelInferResponse(model_name='m')


@pytest.fixture
def served():
    servicer = Counting()
    server = grpc.server(ThreadPoolExecutor(8))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    yield f'127.0.0.1:{port}', servicer
    server.stop(None).wait()


def test_every_client_has_a_connection_and_its_requests_are_counted(served) -> None:
    address, servicer = served
    figures = put_under_load(address, REQUEST, clients=3, duration_s=0.5)
    assert len(servicer.peers) == 3
    assert 0 < round(0.5 * figures.requests_per_s) <= servicer.requests
    assert 0.0 < figures.latency_p50_s <= figures.latency_p99_s


def test_a_refused_request_ends_the_trial_with_its_reason(served) -> None:
    address, _ = served
    request = service_pb2.ModelInferRequest(model_name='huge').SerializeToString()
    with pytest.raises(EdgeError, match=rf'{address}: NOT_FOUND: no huge'):
        put_under_load(address, request, clients=2, duration_s=0.2)


@pytest.mark.parametrize('option', ['--rounds', '--seconds', '--workers', '--threads', '--clients'])
def test_options_out_of_range_are_refused_by_name(option: str) -> None:
    parser = argparse.ArgumentParser()
    throughput.add_arguments(parser)
    with pytest.raises(InvalidValueError, match=option):
        throughput.run(parser.parse_args([option, '0']))


def test_both_servers_get_the_same_image_each_under_its_own_names() -> None:
    catalog = throughput.built_in_catalog()
    for payload, network in (('jpeg', 'vsdet_s'), ('tensor', 'vsdet_s_network')):
        question = throughput._question(catalog, payload, 'vsdet_s', 256)
        ours, theirs = (
            service_pb2.ModelInferRequest.FromString(question.messages[server])
            for server in (throughput.OURS, throughput.TRITON)
        )
        assert (ours.model_name, theirs.model_name) == ('vsdet_s', network)
        assert ours.raw_input_contents == theirs.raw_input_contents
        assert ours.inputs == theirs.inputs
