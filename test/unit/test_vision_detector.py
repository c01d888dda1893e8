"""Every detector of the zoo keeps the Detector contract."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.detector import Detector, RawOutput, detect
from visionscaling_ros.vision.model_zoo import (
    accuracy_map,
    available_models,
    input_sizes_px,
    load_detector,
    weights_path,
)
from visionscaling_ros.vision.scene import StreetScene

MAX_WEIGHTS_BYTES = 10_000_000


@pytest.fixture(scope='module', params=available_models())
def detector(request: pytest.FixtureRequest) -> Detector:
    return load_detector(request.param)


@pytest.fixture(scope='module')
def street() -> np.ndarray:
    return StreetScene(3, 640, 480).frame(50)[0]


class TestDetectorContract:
    def test_is_a_detector(self, detector: Detector) -> None:
        assert isinstance(detector, Detector)
        assert detector.name in available_models()

    def test_names_its_classes(self, detector: Detector) -> None:
        assert detector.class_names
        assert len(set(detector.class_names)) == len(detector.class_names)

    def test_sizes_are_ascending_multiples_of_32(self, detector: Detector) -> None:
        sizes_px = detector.input_sizes_px
        assert len(sizes_px) >= 3
        assert list(sizes_px) == sorted(set(sizes_px))
        assert all(size_px > 0 and size_px % 32 == 0 for size_px in sizes_px)

    def test_raw_output_shapes(self, detector: Detector, street: np.ndarray) -> None:
        prepared = detector.preprocess(street, 160)
        raw = detector.forward(prepared)
        anchors = sum((160 // stride) * (128 // stride) for stride in (8, 16, 32))
        assert raw.boxes_px.shape == (anchors, 4)
        assert raw.scores.shape == (anchors, len(detector.class_names))
        assert raw.boxes_px.dtype == raw.scores.dtype == np.float32
        assert raw.scores.min() >= 0
        assert raw.scores.max() <= 1
        assert (raw.boxes_px[:, 2:] > raw.boxes_px[:, :2]).all()

    def test_detections_lie_in_the_image_best_first(
        self, detector: Detector, street: np.ndarray
    ) -> None:
        for size_px in detector.input_sizes_px:
            found = detect(detector, street, size_px)
            assert len(found) > 0
            assert found.boxes_px.dtype == found.scores.dtype == np.float32
            assert found.class_ids.dtype == np.int64
            assert found.boxes_px.shape == (len(found), 4)
            assert (np.diff(found.scores) <= 0).all()
            assert (found.boxes_px >= 0).all()
            assert (found.boxes_px[:, 2:] <= [640, 480]).all()
            assert (found.boxes_px[:, 2:] >= found.boxes_px[:, :2]).all()
            assert set(found.class_ids) <= set(range(len(detector.class_names)))

    def test_same_image_same_answer(self, detector: Detector, street: np.ndarray) -> None:
        first, second = (detect(detector, street, 224) for _ in range(2))
        np.testing.assert_array_equal(first.boxes_px, second.boxes_px)
        np.testing.assert_array_equal(first.scores, second.scores)

    def test_nothing_found_is_empty(self, detector: Detector, street: np.ndarray) -> None:
        prepared = detector.preprocess(street, 160)
        raw = detector.forward(prepared)
        silent = RawOutput(raw.boxes_px, np.zeros_like(raw.scores))
        found = detector.postprocess(silent, prepared)
        assert len(found) == 0
        assert found.boxes_px.shape == (0, 4)

    @pytest.mark.parametrize('shape', [(32, 48), (1, 1), (700, 20), (50, 900)])
    def test_any_shape_of_image(self, detector: Detector, shape: tuple[int, int]) -> None:
        found = detect(detector, np.zeros((*shape, 3), np.uint8), 160)
        assert (found.boxes_px[:, 2:] <= [shape[1], shape[0]]).all()

    def test_warm_up_and_bad_input(self, detector: Detector) -> None:
        detector.warm_up(160)
        with pytest.raises(InvalidValueError, match='multiples of 32'):
            detector.warm_up(150)
        with pytest.raises(InvalidValueError, match='multiples of 32'):
            detector.preprocess(np.zeros((4, 4, 3), np.uint8), 33)
        with pytest.raises(ImageFormatError, match='allowed'):
            detector.preprocess(np.zeros((4, 4), np.uint8), 160)


def test_unknown_model_is_named_with_what_there_is() -> None:
    for call in (load_detector, input_sizes_px, weights_path):
        with pytest.raises(InvalidValueError, match=r'yolo99.*vsdet_n, vsdet_s, vsdet_m'):
            call('yolo99')
    with pytest.raises(InvalidValueError, match='yolo99'):
        accuracy_map('yolo99', 320)


def test_unknown_size_and_device_are_named() -> None:
    with pytest.raises(InvalidValueError, match=r'333.*160, 224, 320, 416'):
        accuracy_map('vsdet_n', 333)
    with pytest.raises(InvalidValueError, match='abacus'):
        load_detector('vsdet_n', 'abacus')


def test_accuracy_table_covers_every_point_and_pays_for_cost() -> None:
    table = {n: [accuracy_map(n, s) for s in input_sizes_px(n)] for n in available_models()}
    for accuracies in table.values():
        assert accuracies == sorted(accuracies)  # a larger input is worth its time
    for cheaper, dearer in zip(available_models(), available_models()[1:], strict=False):
        assert table[cheaper][-1] < table[dearer][-1]


def test_weights_are_small_enough_to_ship() -> None:
    total = sum(weights_path(name).stat().st_size for name in available_models())
    assert total < MAX_WEIGHTS_BYTES


def test_listing_models_does_not_import_torch() -> None:
    code = (
        'import sys; from visionscaling_ros.vision import model_zoo as zoo; '
        'import visionscaling_ros.vision.accuracy, visionscaling_ros.vision.sources; '
        'zoo.accuracy_map(zoo.available_models()[0], 320); '
        'print("torch" in sys.modules or "faster_coco_eval" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False'


def test_shipped_accuracy_is_what_the_detector_reaches() -> None:
    from visionscaling_ros.vision.evaluation import held_out_set, score

    held_out = held_out_set(24)
    measured = score(load_detector('vsdet_n'), 320, held_out)
    # 24 pictures scatter; a broken preprocessing or wrong weights would give nearly nothing
    assert measured.map_50_95 == pytest.approx(accuracy_map('vsdet_n', 320), abs=0.12)
    assert measured.map_50 > measured.map_50_95 > 0.1
