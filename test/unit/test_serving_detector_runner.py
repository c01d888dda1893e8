from __future__ import annotations

import asyncio
import math
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from vision_models import write_manifest, write_traced, write_vsdet

from visionscaling_ros.edge.server.model_runner import Workload
from visionscaling_ros.edge.server.scheduler import OverloadedError, Scheduler
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.errors import (
    ImageFormatError,
    InvalidValueError,
    ModelError,
    VisionScalingError,
)
from visionscaling_ros.serving.detector_runner import DetectorRunner
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.detector import detect
from visionscaling_ros.vision.jpeg import decode_jpeg, encode_jpeg
from visionscaling_ros.vision.model_loading import load_model


@pytest.fixture(scope='module')
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog([]).with_manifests([write_vsdet(tmp_path_factory.mktemp('pair'))])


@pytest.fixture(scope='module')
def runner(catalog: Catalog) -> DetectorRunner:
    runner = DetectorRunner(catalog, ('small', 'large'), threads=1, max_image_pixels=100_000)
    runner.warm_up()
    return runner


def picture(height_px: int = 48, width_px: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width_px, height_px))


def call(**changes: Any) -> InferCall:
    values: dict[str, Any] = {
        'model': 'small', 'input_size_px': 64, 'jpeg': None, 'tensor': None, 'robot_id': 'r',
        'slot': 0, 'frame_number': 0, 'stamp_ns': 0, 'deadline_s': math.inf,
    }  # fmt: skip
    return InferCall(**{**values, **changes})


def test_what_it_serves_is_known_before_anything_is_loaded(catalog: Catalog) -> None:
    runner = DetectorRunner(catalog, ('small', 'large'), threads=1)
    assert runner.model_names == ('small', 'large')
    assert runner.class_names('small') == ('cat', 'dog', 'owl')
    assert runner.input_sizes_px('large') == (64, 96)
    spec = runner.tensor_spec('small')
    assert spec is not None
    assert spec.input_name == 'images'
    assert spec.input_shape == (-1, 3, -1, -1)
    assert dict(spec.outputs) == {'scores': (-1, -1, -1), 'boxes': (-1, -1, -1)}
    with pytest.raises(InvalidValueError, match="'tiny'"):
        DetectorRunner(catalog, ('tiny',), threads=1)


def test_warming_up_measures_every_model_and_size(runner: DetectorRunner) -> None:
    times_s = runner.warm_up()
    assert {(load.model, load.input_width_px) for load in times_s} == {
        (model, size_px) for model in ('small', 'large') for size_px in (64, 96)
    }
    assert all(0.0 < time_s < 10.0 for time_s in times_s.values())


def test_jpegs_give_what_the_robot_would_find(runner: DetectorRunner, catalog: Catalog) -> None:
    jpegs = [encode_jpeg(picture(seed=seed)) for seed in range(3)]
    results = runner.run('small', [call(jpeg=jpeg) for jpeg in jpegs])
    detector = load_model(catalog.entry('small'))
    for jpeg, found in zip(jpegs, results, strict=True):
        expected = detect(detector, decode_jpeg(jpeg), 64)
        assert isinstance(found, RelativeDetections)
        assert len(found) == len(expected) > 0
        assert found.boxes.max() <= 1.0
        back = found.to_pixels(64, 48)
        np.testing.assert_allclose(back.boxes_px, expected.boxes_px, atol=0.05)


def test_tensors_give_the_networks_own_output(runner: DetectorRunner, catalog: Catalog) -> None:
    detector = load_model(catalog.entry('small'))
    prepared = detector.preprocess(picture(), 64)
    tensor = prepared.batch.transpose(0, 3, 1, 2).copy()
    jpeg = encode_jpeg(picture(seed=1))
    results = runner.run('small', [call(tensor=tensor), call(jpeg=jpeg), call(tensor=tensor)])
    assert isinstance(results[1], RelativeDetections)
    expected = detector.forward(detector.preprocess(picture(), 64)).tensors
    for result in (results[0], results[2]):
        assert isinstance(result, dict)
        assert list(result) == ['scores', 'boxes']
        for output, wanted in zip(result.values(), expected, strict=True):
            np.testing.assert_allclose(output, wanted, atol=1e-3, rtol=1e-3)


def test_what_is_wrong_with_one_spoils_no_other(runner: DetectorRunner) -> None:
    good = encode_jpeg(picture())
    nan = np.full((1, 3, 64, 64), np.nan, np.float32)
    results = runner.run(
        'small',
        [call(jpeg=good), call(jpeg=good[: len(good) // 8]), call(tensor=nan), call(jpeg=good)],
    )
    assert isinstance(results[1], ImageFormatError)
    assert isinstance(results[2], InvalidValueError)  # the request's fault, not the model's
    assert isinstance(results[0], RelativeDetections)
    assert isinstance(results[3], RelativeDetections)


@pytest.mark.parametrize(
    ('height_px', 'width_px', 'size_px', 'expected'),
    [
        (48, 64, 64, (64, 64, 4096)),
        (30, 64, 64, (32, 64, 2048)),
        (96, 64, 96, (96, 64, 8192)),
        (240, 320, 64, (64, 64, 131072)),
    ],
)
def test_the_workload_of_a_jpeg_is_known_from_its_header(
    runner: DetectorRunner, height_px: int, width_px: int, size_px: int,
    expected: tuple[int, int, int],
) -> None:  # fmt: skip
    jpeg = encode_jpeg(picture(height_px, width_px))
    found = runner.workload(call(jpeg=jpeg, input_size_px=size_px))
    assert found == Workload('small', *expected)


def test_the_workload_of_a_tensor_is_its_shape(runner: DetectorRunner) -> None:
    tensor = np.zeros((1, 3, 64, 96), np.float32)
    assert runner.workload(call(tensor=tensor)) == Workload('small', 64, 96)


@pytest.mark.parametrize(
    'tensor',
    [
        np.zeros((1, 3, 64, 128), np.float32),  # larger than the model's largest size
        np.zeros((1, 3, 32, 32), np.float32),  # a size it was not measured at
        np.zeros((1, 3, 50, 64), np.float32),
        np.zeros((1, 3, 0, 64), np.float32),
        np.zeros((2, 3, 64, 64), np.float32),
        np.zeros((1, 64, 64, 3), np.float32),
        np.zeros((3, 64, 64), np.float32),
        np.zeros((1, 3, 64, 64), np.float64),
    ],
)
def test_tensors_the_network_does_not_run_at_are_refused(
    runner: DetectorRunner, tensor: np.ndarray
) -> None:
    with pytest.raises(InvalidValueError, match=r'float32 \(1, 3, height, width\).*\(64, 96\)'):
        runner.workload(call(tensor=tensor))


@pytest.mark.parametrize(
    ('jpeg', 'named'),
    [(b'', '0 bytes are no image'), (b'\xff\xd8\xffgarbage', 'no image'),
     (encode_jpeg(np.zeros((400, 300, 3), np.uint8)), '300x400 pixels; allowed: 1 to 100000')],
)  # fmt: skip
def test_images_that_cannot_be_used_are_refused_by_their_header(
    runner: DetectorRunner, jpeg: bytes, named: str
) -> None:
    with pytest.raises(ImageFormatError, match=named):
        runner.workload(call(jpeg=jpeg))
    (result,) = runner.run('small', [call(jpeg=jpeg)])  # nor are they decoded if they get here
    assert isinstance(result, ImageFormatError)


def test_a_model_that_answers_nan_fails_those_requests_only(tmp_path: Path) -> None:
    class NanForBright(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean = images.mean((1, 2, 3))[:, None, None]
            broken = torch.where(mean > 0.5, torch.nan, 0.0)
            scores = torch.full((images.shape[0], 84, 3), -9.0) + broken
            return scores, torch.zeros(images.shape[0], 84, 4) + 0.0 * mean

    write_traced(tmp_path / 'own.pt', NanForBright(), (2, 3, 64, 64))
    path = write_manifest(tmp_path, output={'decoder': 'vsdet'}, input_sizes_px=[64],
                          accuracy=None)  # fmt: skip
    runner = DetectorRunner(Catalog([]).with_manifests([path]), ('own',), threads=1)
    runner.warm_up()
    images = [encode_jpeg(np.full((64, 64, 3), value, np.uint8)) for value in (0, 255, 50)]
    calls = [call(model='own', jpeg=jpeg) for jpeg in images]
    for _ in range(2):
        kinds = [type(result) for result in runner.run('own', calls)]
        assert kinds == [RelativeDetections, ModelError, RelativeDetections]
    bright = np.ones((1, 3, 64, 64), np.float32)
    (result,) = runner.run('own', [call(model='own', tensor=bright)])
    assert isinstance(result, ModelError)


def test_a_model_that_raises_fails_alone(tmp_path: Path) -> None:
    fixed = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 96 * 96, 8))
    write_traced(tmp_path / 'own.pt', fixed, (1, 3, 96, 96))
    path = write_manifest(tmp_path, output={'decoder': 'vsdet'}, accuracy=None)
    runner = DetectorRunner(Catalog([]).with_manifests([path]), ('own',), threads=1)
    with pytest.raises(VisionScalingError, match='own'):
        runner.warm_up()
    jpeg = encode_jpeg(picture())
    results = runner.run('own', [call(model='own', jpeg=jpeg)] * 2)
    assert [type(result) for result in results] == [ModelError, ModelError]


def test_every_worker_has_detectors_of_its_own(catalog: Catalog) -> None:
    """Two workers compute the same pictures at once, and find what one finds alone."""
    jpegs = [encode_jpeg(picture(seed=seed)) for seed in range(8)]

    async def scenario(workers: int) -> list[np.ndarray]:
        runner = DetectorRunner(catalog, ('small',), threads=1)
        scheduler = Scheduler(runner, workers=workers, max_batch=4)
        await scheduler.warm_up()
        with pytest.raises(OverloadedError, match=r'the deadline leaves 0\.000 s'):
            await scheduler.infer(call(jpeg=jpegs[0]), 1e-6)
        done = await asyncio.gather(
            *(scheduler.infer(call(jpeg=jpeg), math.inf) for jpeg in jpegs for _ in range(4))
        )
        await asyncio.to_thread(scheduler.close, 1.0)
        return [computed.detections.boxes for computed in done]

    for found, expected in zip(asyncio.run(scenario(2)), asyncio.run(scenario(1)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)
    assert threading.active_count() < 20
