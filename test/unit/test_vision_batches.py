"""Batches: the same detections as one by one, from every engine, and where one cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_vision_engines import need, write_onnx
from vision_models import (
    write_manifest,
    write_torchscript,
    write_traced,
    write_vsdet,
    yolox_predictions,
)

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import ImageFormatError, ModelError
from visionscaling_ros.vision.batched_engine import BatchedEngine
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.detector import detect
from visionscaling_ros.vision.engine_detector import EngineDetector
from visionscaling_ros.vision.engines.export import export_network
from visionscaling_ros.vision.model_loading import load_model, load_network_module

ENGINES = ['torch', 'onnxruntime', 'openvino']


@pytest.fixture(scope='module')
def pair(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield Catalog([]).with_manifests([write_vsdet(tmp_path_factory.mktemp('pair'))])


def pictures(*shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def assert_same(found: object, expected: Detections) -> None:
    """But for the order of equal scores."""
    assert isinstance(found, Detections)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    differences = np.abs(found.boxes_px[:, None] - expected.boxes_px).max(2)
    differences += 1e3 * (found.class_ids[:, None] != expected.class_ids)
    differences += 100 * np.abs(found.scores[:, None] - expected.scores)
    assert differences.min(1).max(initial=0) < 0.05
    assert differences.min(0).max(initial=0) < 0.05


def takes_batches(detector: EngineDetector, engine: str) -> bool | None:
    return detector._batched[engine]._takes_batches


@pytest.mark.parametrize('engine', ENGINES)
def test_a_batch_gives_what_its_images_give_alone(engine: str, pair: Catalog) -> None:
    if engine != 'torch':
        need(engine, 'onnxscript')
    together, alone = (load_model(pair.entry('small'), engine=engine) for _ in range(2))
    for size_px in (64, 96):
        # 48x64 and 50x64 have the same input, 64x64 another
        images = pictures((48, 64), (50, 64), (64, 64), (48, 64), (96, 128))
        expected = [detect(alone, image, size_px) for image in images]
        assert sum(map(len, expected)) > 0
        for _ in range(2):  # the first one finds out whether the engine takes batches
            for found, wanted in zip(
                together.detect_batch(images, size_px), expected, strict=True
            ):
                assert_same(found, wanted)
        assert_same(together.detect_batch(images[:1], size_px)[0], expected[0])
    assert takes_batches(together, engine)


@pytest.mark.parametrize('engine', ENGINES)
def test_tensors_give_what_the_images_they_come_from_give(engine: str, pair: Catalog) -> None:
    if engine != 'torch':
        need(engine, 'onnxscript')
    detector = load_model(pair.entry('small'), engine=engine)
    raw, tensors = [], []
    for image in pictures((48, 64), (48, 64), (48, 64)):
        prepared = detector.preprocess(image, 64)
        raw.append(detector.forward(prepared).tensors)
        channels_last = engine == 'torch'
        batch = prepared.batch.transpose(0, 3, 1, 2) if channels_last else prepared.batch
        tensors.append(batch.copy())
    for count in (1, 3, 3):
        outputs = detector.forward_tensors(np.concatenate(tensors[:count]))
        for place, output in enumerate(outputs):
            assert output.dtype == np.float32
            for k in range(count):
                np.testing.assert_allclose(
                    output[k : k + 1], raw[k][place], atol=1e-3, rtol=1e-3
                )


def test_one_image_that_is_none_spoils_no_other(pair: Catalog) -> None:
    detector = load_model(pair.entry('small'))
    good = pictures((48, 64))[0]
    found = detector.detect_batch([good, np.zeros((0, 4, 3), np.uint8), good], 64)
    assert isinstance(found[1], ImageFormatError)
    for detections in (found[0], found[2]):
        assert_same(detections, detect(detector, good, 64))


class NanForBright(torch.nn.Module):
    """Fails for images that are bright on the whole."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = images.mean((1, 2, 3))[:, None, None]
        broken = torch.where(mean > 0.5, torch.nan, 0.0)
        count, cells = images.shape[0], 84
        scores = torch.full((count, cells, 3), -9.0) + broken
        return scores, torch.zeros(count, cells, 4) + 0.0 * mean


def test_an_image_the_network_fails_for_spoils_no_other(tmp_path: Path) -> None:
    write_traced(tmp_path / 'own.pt', NanForBright(), (2, 3, 64, 64))
    path = write_manifest(tmp_path, output={'decoder': 'vsdet'})
    detector = load_model(Catalog([]).with_manifests([path]).entry('own'))
    images = [np.full((64, 64, 3), value, np.uint8) for value in (0, 255, 100)]
    for _ in range(2):
        found = detector.detect_batch(images, 64)
        assert isinstance(found[1], ModelError)
        assert 'not finite' in str(found[1])
        assert (len(found[0]), len(found[2])) == (0, 0)
    assert takes_batches(detector, 'torch')


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_a_file_for_one_image_is_run_one_by_one(tmp_path: Path, engine: str) -> None:
    need(engine)
    write_onnx(tmp_path / 'own.onnx', yolox_predictions(64, 64), [1, 3, 64, 64])
    path = write_manifest(
        tmp_path, format='onnx', file='own.onnx',
        output={'decoder': 'yolox', 'tensors': {'predictions': 'predictions'}},
    )  # fmt: skip
    detector = load_model(Catalog([]).with_manifests([path]).entry('own'), engine=engine)
    images = pictures((48, 64), (64, 64), (48, 64))
    for _ in range(2):
        found = detector.detect_batch(images, 64)
        assert [d.class_ids.tolist() for d in found] == [[2, 0, 0, 1]] * 3
    assert takes_batches(detector, engine) is False


def test_a_traced_file_that_answers_a_batch_for_one_image_is_found_out(tmp_path: Path) -> None:
    write_torchscript(tmp_path / 'own.pt', yolox_predictions(64, 64), (1, 3, 64, 64))
    detector = load_model(
        Catalog([]).with_manifests([write_manifest(tmp_path)]).entry('own')
    )
    for _ in range(2):
        found = detector.detect_batch(pictures((64, 64), (48, 64)), 64)
        assert [len(d) for d in found] == [4, 4]
    assert takes_batches(detector, 'torch') is False


class Mixes(torch.nn.Module):
    """Answers a batch with as many rows, but the rows depend on one another."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(images.shape[0], 84, 8) + images.sum()


def test_a_file_that_mixes_the_images_of_a_batch_is_found_out(tmp_path: Path) -> None:
    write_traced(tmp_path / 'own.pt', Mixes(), (2, 3, 64, 64))
    detector = load_model(
        Catalog([]).with_manifests([write_manifest(tmp_path)]).entry('own')
    )
    tensors = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    expected = tensors.sum((1, 2, 3))
    for _ in range(2):
        (output,) = detector.forward_tensors(tensors)
        np.testing.assert_allclose(output[:, 0, 0], expected, rtol=1e-3)
    assert takes_batches(detector, 'torch') is False


class Scarce:
    """An engine with memory for two images."""

    name, channels_last = 'scarce', True

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def allocate(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.empty(shape, np.float32)

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        self.sizes.append(len(batch))
        if len(batch) > 2:
            raise ModelError('out of memory')
        return (batch.sum((1, 2, 3)),)


def test_a_batch_too_large_is_run_one_by_one_and_smaller_ones_go_on() -> None:
    engine = Scarce()
    batched = BatchedEngine(engine)
    batch = np.random.default_rng(0).random((4, 2, 2, 3), np.float32)
    for part in (batch[:2], batch, batch[:2]):
        np.testing.assert_allclose(batched.run(part)[0], part.sum((1, 2, 3)), rtol=1e-6)
    assert engine.sizes == [2, 1, 1, 4, 1, 1, 1, 1, 2]


@pytest.mark.parametrize('kind', ['torchscript', 'torch_export'])
def test_what_is_exported_takes_batches(tmp_path: Path, pair: Catalog, kind: str) -> None:
    name = {'torchscript': 'o.pt', 'torch_export': 'o.pt2'}[kind]
    export_network(load_network_module(pair.entry('small')), kind, tmp_path / name)
    path = write_manifest(
        tmp_path, format=kind, file=name, output={'decoder': 'vsdet'},
        input={'color': 'bgr', 'scale': 1.0 / 255.0},
    )  # fmt: skip
    own = load_model(Catalog([]).with_manifests([path]).entry('own'))
    reference = load_model(pair.entry('small'))
    images = pictures((48, 64), (48, 64), (48, 64))
    for _ in range(2):
        for found, image in zip(own.detect_batch(images, 64), images, strict=True):
            expected = detect(reference, image, 64)
            assert isinstance(found, Detections)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    assert takes_batches(own, 'torch')
