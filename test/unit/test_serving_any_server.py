"""The robot's end of the wire, unchanged, against this package's server and against Triton."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from triton_fixture import installed_triton
from vision_models import CLASSES, write_vsdet

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadFrame, OffloadOutcome
from visionscaling_ros.nodes.frame_encoder import FrameEncoder
from visionscaling_ros.serving.detector_runner import DetectorRunner
from visionscaling_ros.serving.repository import write_repository
from visionscaling_ros.serving.repository_options import RepositoryOptions
from visionscaling_ros.serving.tensor_model import tensor_models
from visionscaling_ros.trials.triton_server import running_triton
from visionscaling_ros.vision.catalog import Catalog, manifest_entries
from visionscaling_ros.vision.detector import detect
from visionscaling_ros.vision.jpeg import decode_jpeg

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

PATIENCE_S = 30.0
JPEG_MODEL, TENSOR_MODEL = 'small', 'small_tensor'
SIZES_PX = (64, 96)
IMAGE_BGR = np.random.default_rng(0).integers(0, 256, (70, 120, 3), np.uint8)


@pytest.fixture(scope='module')
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp('models')
    paths = [write_vsdet(folder, widths={JPEG_MODEL: 0.5})]
    paths.append(
        write_vsdet(
            folder, name='tensors', widths={TENSOR_MODEL: 0.5}, offload={'payload': 'tensor'}
        )
    )
    return Catalog(entry for path in paths for entry in manifest_entries(path))


@contextlib.contextmanager
def running_embedded(catalog: Catalog) -> Iterator[str]:
    runner = DetectorRunner(catalog, catalog.names(), threads=1, engine='onnxruntime')
    server = EdgeServer(runner, port=0)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE_S)
        yield server.address
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def running_exported(catalog: Catalog, folder: Path) -> Iterator[str]:
    installation = installed_triton()
    entries = [catalog.entry(name) for name in catalog.names()]
    write_repository(entries, folder / 'repository', RepositoryOptions(backend='python'))
    with running_triton(installation, folder / 'repository') as address:
        yield address


@pytest.fixture(scope='module', params=['embedded', 'triton'])
def address(
    request: pytest.FixtureRequest, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == 'embedded':
        server = running_embedded(catalog)
    else:
        server = running_exported(catalog, tmp_path_factory.mktemp('served'))
    with server as found:
        yield found


class Robot:
    """A bridge, and what comes out of it."""

    def __init__(self, catalog: Catalog, address: str) -> None:
        self.encode = FrameEncoder(catalog, lambda: 90)
        self.outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
        client = GrpcEdgeClient(address, robot_id='r1', tensor_models=tensor_models(catalog))
        self.bridge = EdgeBridge(client, on_outcome=self.outcomes.put, max_queued=100)
        self._number = 0

    def submit(self, model: str, size_px: int, image_bgr: ImageArray, data: bytes = b'') -> None:
        payload = self.encode(image_bgr, model, size_px)
        self._number += 1
        self.bridge.submit(
            OffloadFrame(
                frame_number=self._number,
                slot=3,
                model=model,
                input_size_px=size_px,
                payload=data or payload.data,
                tensor_shape=payload.tensor_shape,
                image_width_px=image_bgr.shape[1],
                image_height_px=image_bgr.shape[0],
                deadline_monotonic_s=time.monotonic() + PATIENCE_S,
                stamp_ns=1_700_000_000_123_456_789,
            )
        )

    def ask(self, *request, **options) -> OffloadOutcome:
        self.submit(*request, **options)
        return self.outcomes.get(timeout=2 * PATIENCE_S)


@pytest.fixture(scope='module')
def robot(catalog: Catalog, address: str) -> Iterator[Robot]:
    made = Robot(catalog, address)
    deadline_s = time.monotonic() + PATIENCE_S
    while not made.ask(JPEG_MODEL, 64, IMAGE_BGR).answered:  # until the bridge has found it
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    yield made
    made.bridge.close()


def found_here(robot: Robot, catalog: Catalog, model: str, size_px: int) -> Detections:
    """What the robot itself finds in what it sends."""
    detector = catalog.load(model, engine='onnxruntime')
    if model == TENSOR_MODEL:
        return detect(detector, IMAGE_BGR, size_px)
    image_bgr = decode_jpeg(robot.encode(IMAGE_BGR, model, size_px).data)
    found = detect(detector, image_bgr, size_px)
    scale = np.array([120 / image_bgr.shape[1], 70 / image_bgr.shape[0]] * 2, np.float32)
    return Detections(found.boxes_px * scale, found.scores, found.class_ids)


@pytest.mark.parametrize('size_px', SIZES_PX)
@pytest.mark.parametrize('model', [JPEG_MODEL, TENSOR_MODEL])
def test_the_bridge_gets_what_the_robot_would_have_found(
    robot: Robot, catalog: Catalog, model: str, size_px: int
) -> None:
    outcome = robot.ask(model, size_px, IMAGE_BGR)
    assert outcome.answered, outcome.message
    own = found_here(robot, catalog, model, size_px)
    assert len(own) > 0
    np.testing.assert_allclose(outcome.detections.scores, own.scores, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(outcome.detections.class_ids, own.class_ids)
    np.testing.assert_allclose(outcome.detections.boxes_px, own.boxes_px, atol=0.05)
    assert set(outcome.detections.class_ids) <= set(range(len(CLASSES)))
    sent_bytes = len(outcome.frame.payload)
    assert sent_bytes < outcome.upload_bytes < sent_bytes + 1000


def test_a_picture_that_is_none_is_refused_by_name_and_the_next_is_answered(robot: Robot) -> None:
    outcome = robot.ask(JPEG_MODEL, 64, IMAGE_BGR, data=b'no picture')
    assert outcome.reason == FailureReason.REFUSED.value
    assert 'no image' in outcome.message
    assert robot.ask(JPEG_MODEL, 64, IMAGE_BGR).answered


def test_a_tensor_of_the_wrong_length_is_refused_and_the_next_is_answered(robot: Robot) -> None:
    outcome = robot.ask(TENSOR_MODEL, 64, IMAGE_BGR, data=b'1234')
    assert outcome.reason == FailureReason.REFUSED.value
    assert robot.ask(TENSOR_MODEL, 64, IMAGE_BGR).answered


def test_a_model_it_does_not_have_is_refused_by_name(catalog: Catalog, address: str) -> None:
    client = GrpcEdgeClient(address)
    outcomes: queue.Queue = queue.Queue()
    frame = OffloadFrame(1, 0, 'huge', 64, b'x', 4, 4, time.monotonic() + PATIENCE_S)
    client.submit(frame, PATIENCE_S, outcomes.put)
    failure = outcomes.get(timeout=2 * PATIENCE_S)
    client.close()
    assert failure.reason is FailureReason.REFUSED
    assert 'huge' in str(failure)


def test_images_of_several_sizes_at_once_are_all_answered_right(
    robot: Robot, catalog: Catalog, address: str
) -> None:
    expected = {size: robot.ask(TENSOR_MODEL, size, IMAGE_BGR).detections for size in SIZES_PX}
    client = GrpcEdgeClient(address, tensor_models=tensor_models(catalog))
    done = threading.Semaphore(0)
    replies: dict[int, object] = {}

    def keep(number: int, reply: object) -> None:
        replies[number] = reply
        done.release()

    for number in range(24):
        size_px = SIZES_PX[number % 2]
        payload = robot.encode(IMAGE_BGR, TENSOR_MODEL, size_px)
        frame = OffloadFrame(
            number, 0, TENSOR_MODEL, size_px, payload.data, 120, 70,
            time.monotonic() + PATIENCE_S, tensor_shape=payload.tensor_shape,
        )  # fmt: skip
        client.submit(frame, PATIENCE_S, lambda reply, n=number: keep(n, reply))
    for _ in range(24):
        assert done.acquire(timeout=2 * PATIENCE_S)
    client.close()
    for number, reply in replies.items():
        found = reply.detections.to_pixels(120, 70)  # type: ignore[attr-defined]
        wanted = expected[SIZES_PX[number % 2]]
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)
