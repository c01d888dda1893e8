"""Replicas of Ray Serve behind the embedded server, with the robot's own bridge in front."""

from __future__ import annotations

import asyncio
import importlib.util
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.wire.offload import OffloadError, OffloadFrame
from visionscaling_ros.edge.wire.protocol import EdgeReply, InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.errors import EdgeError, ImageFormatError, InvalidValueError
from visionscaling_ros.serving.ray_options import RayOptions
from visionscaling_ros.serving.ray_runner import RayRunner
from visionscaling_ros.vision.jpeg import encode_jpeg
from visionscaling_ros.vision.sources.synthetic_source import SyntheticSource

MODEL, SIZE_PX = 'vsdet_n', 192
PATIENCE_S = 60.0
HAS_RAY = importlib.util.find_spec('ray') is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason='ray is not installed (requirements/ray.txt)')


@pytest.mark.parametrize(
    ('wrong', 'name'),
    [
        ({'min_replicas': 0}, 'min_replicas'),
        ({'min_replicas': 3, 'max_replicas': 2}, 'max_replicas'),
        ({'threads': 0}, 'threads'),
        ({'ongoing_per_replica': 0.0}, 'ongoing_per_replica'),
        ({'gpus_per_replica': -1.0}, 'gpus_per_replica'),
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(wrong: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidValueError, match=name):
        RayOptions(models=(MODEL,), **wrong)


def test_so_many_batches_are_under_way_that_another_replica_is_asked_for() -> None:
    options = RayOptions(models=(MODEL,), max_replicas=3, ongoing_per_replica=1.5)
    assert options.concurrency > options.max_replicas * options.ongoing_per_replica
    assert options.concurrency == options.max_replicas * options.max_ongoing


@pytest.mark.skipif(HAS_RAY, reason='ray is installed')
def test_without_ray_the_error_says_what_to_install() -> None:
    with pytest.raises(EdgeError, match=r'visionscaling_ros\[ray\]'):
        RayRunner(RayOptions(models=(MODEL,)))


def picture() -> bytes:
    return encode_jpeg(SyntheticSource(1, SIZE_PX, SIZE_PX, 30.0).read().image_bgr)


def call(jpeg: bytes) -> InferCall:
    return InferCall(
        model=MODEL, input_size_px=SIZE_PX, jpeg=jpeg, tensor=None, robot_id='r1', slot=0,
        frame_number=1, stamp_ns=1, deadline_s=PATIENCE_S,
    )  # fmt: skip


@needs_ray
def test_an_address_where_no_ray_answers_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))  # and not listening
        address = f'127.0.0.1:{taken.getsockname()[1]}'
        with (
            pytest.raises(EdgeError, match=address),
            RayRunner(RayOptions(models=(MODEL,), address=address)),
        ):
            pass


@pytest.fixture(scope='module')
def runner() -> Iterator[RayRunner]:
    with RayRunner(RayOptions(models=(MODEL,), max_replicas=2)) as running:
        yield running


@pytest.fixture
def address(runner: RayRunner) -> Iterator[str]:
    """A server over the replicas, its event loop in a thread."""
    server = EdgeServer(runner, port=0, workers=runner.concurrency)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE_S)
        yield server.address
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Robot:
    """The robot's own client."""

    def __init__(self, address: str) -> None:
        self._client = GrpcEdgeClient(address, robot_id='r1')
        self._replies: queue.Queue[EdgeReply | OffloadError] = queue.Queue()

    def send(self, number: int = 1, payload: bytes | None = None) -> None:
        frame = OffloadFrame(
            number, 3, MODEL, SIZE_PX, picture() if payload is None else payload,
            SIZE_PX, SIZE_PX, 0.0, stamp_ns=number,
        )  # fmt: skip
        self._client.submit(frame, PATIENCE_S, self._replies.put)

    def reply(self) -> EdgeReply | OffloadError:
        return self._replies.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def robot(address: str) -> Iterator[Robot]:
    robot = Robot(address)
    yield robot
    robot.close()


def replica_processes() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if 'ServeReplica' in ' '.join(process.cmdline())
    ]


@needs_ray
def test_a_robot_gets_what_the_detector_finds_and_the_servers_times(robot: Robot) -> None:
    local = RayOptions(models=(MODEL,)).runner()
    local.warm_up()
    (expected,) = local.run(MODEL, [call(picture())])
    assert isinstance(expected, RelativeDetections)
    robot.send()
    reply = robot.reply()
    assert isinstance(reply, EdgeReply)
    assert reply.detections is not None
    assert len(expected)
    np.testing.assert_allclose(reply.detections.boxes, expected.boxes, atol=1e-4)
    assert reply.compute_s > 0.0
    assert reply.queue_s >= 0.0
    assert reply.share == 1.0


@needs_ray
def test_what_is_no_image_spoils_no_other_request_of_its_batch(runner: RayRunner) -> None:
    good, bad = runner.run(MODEL, [call(picture()), call(b'no image')])
    assert isinstance(good, RelativeDetections)
    assert isinstance(bad, ImageFormatError)


@needs_ray
def test_a_request_without_time_is_refused_and_not_waited_for(runner: RayRunner) -> None:
    late = InferCall(**{**vars(call(picture())), 'deadline_s': 0.0})
    (result,) = runner.run(MODEL, [late])
    assert isinstance(result, EdgeError)


@needs_ray
def test_robots_that_keep_it_busy_bring_out_another_replica(
    runner: RayRunner, robot: Robot
) -> None:
    for number in range(runner.concurrency):
        robot.send(number)
    number = runner.concurrency
    while number % 50 or len(replica_processes()) < 2:
        assert number < 20_000, 'no second replica'
        assert isinstance(robot.reply(), EdgeReply)
        robot.send(number)
        number += 1


@needs_ray
def test_a_replica_that_dies_costs_no_request_that_has_time(robot: Robot) -> None:
    for process in replica_processes():
        process.kill()
    for number in range(8):
        robot.send(number)
        assert isinstance(robot.reply(), EdgeReply)
