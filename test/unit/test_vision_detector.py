"""Every shipped model keeps the Detector contract, and broken networks are told by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vision_models import CLASSES, write_manifest, write_torchscript, yolox_predictions

from visionscaling_ros.errors import ImageFormatError, InvalidValueError, ModelError
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog
from visionscaling_ros.vision.detector import Detector, RawOutput, detect
from visionscaling_ros.vision.scene import StreetScene

SIZE_PX = 320


@pytest.fixture(scope='module', params=built_in_catalog().names())
def detector(request: pytest.FixtureRequest) -> Detector:
    return built_in_catalog().load(request.param, engine='auto')


@pytest.fixture(scope='module')
def street() -> np.ndarray:
    return StreetScene(3, 640, 480).frame(50)[0]


class TestDetectorContract:
    def test_is_a_detector(self, detector: Detector) -> None:
        assert isinstance(detector, Detector)
        assert detector.name in built_in_catalog().names()

    def test_names_its_classes(self, detector: Detector) -> None:
        assert detector.class_names
        assert len(set(detector.class_names)) == len(detector.class_names)

    def test_sizes_are_ascending_multiples_of_32(self, detector: Detector) -> None:
        sizes_px = detector.input_sizes_px
        assert sizes_px
        assert list(sizes_px) == sorted(set(sizes_px))
        assert all(size_px > 0 and size_px % 32 == 0 for size_px in sizes_px)

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
        first, second = (detect(detector, street, SIZE_PX) for _ in range(2))
        np.testing.assert_array_equal(first.boxes_px, second.boxes_px)
        np.testing.assert_array_equal(first.scores, second.scores)

    def test_answers_do_not_change_with_the_next_frame(
        self, detector: Detector, street: np.ndarray
    ) -> None:
        found = detect(detector, street, SIZE_PX)
        kept = found.boxes_px.copy()
        detect(detector, np.zeros_like(street), SIZE_PX)
        np.testing.assert_array_equal(found.boxes_px, kept)

    @pytest.mark.parametrize('shape', [(32, 48), (1, 1), (700, 20), (50, 900)])
    def test_any_shape_of_image(self, detector: Detector, shape: tuple[int, int]) -> None:
        found = detect(detector, np.zeros((*shape, 3), np.uint8), SIZE_PX)
        assert (found.boxes_px[:, 2:] <= [shape[1], shape[0]]).all()

    def test_warm_up_and_bad_input(self, detector: Detector) -> None:
        detector.warm_up(SIZE_PX)
        with pytest.raises(InvalidValueError, match='multiples of 32'):
            detector.warm_up(150)
        with pytest.raises(InvalidValueError, match='multiples of 32'):
            detector.preprocess(np.zeros((4, 4, 3), np.uint8), 33)
        with pytest.raises(ImageFormatError, match='allowed'):
            detector.preprocess(np.zeros((4, 4), np.uint8), SIZE_PX)


def own_detector(folder: Path, answer: np.ndarray, **changes: object) -> Detector:
    write_torchscript(folder / 'own.pt', answer, (1, 3, 64, 64))
    return Catalog([]).with_manifests([write_manifest(folder, **changes)]).load('own')


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('place', [0, 4, 7])
def test_values_that_are_not_finite_are_told_with_model_and_output(
    tmp_path: Path, value: float, place: int
) -> None:
    answer = yolox_predictions(64, 64)
    answer[0, 50, place] = value
    detector = own_detector(tmp_path, answer)
    with pytest.raises(ModelError, match=r'own\.yaml: model own: output predictions .*finite'):
        detector.warm_up(64)


def test_values_that_are_large_but_finite_are_none_of_that(tmp_path: Path) -> None:
    answer = yolox_predictions(64, 64)
    answer[0, 40:, 0] = 3e38  # their sum is not finite
    detector = own_detector(tmp_path, answer)
    detector.warm_up(64)


@pytest.mark.parametrize(
    ('answer', 'changes'),
    [
        (yolox_predictions(64, 64), {'classes': ['cat', 'dog']}),
        (yolox_predictions(64, 64), {'classes': [*CLASSES, 'elk']}),
        (yolox_predictions(64, 64), {'output': {'decoder': 'yolov5'}}),
        (yolox_predictions(64, 64), {'output': {'decoder': 'yolov8'}}),
        (yolox_predictions(64, 64), {'output': {'decoder': 'yolox', 'strides_px': [8, 16]}}),
        (yolox_predictions(96, 96), {}),
        (yolox_predictions(64, 64)[0], {}),
    ],
)
def test_a_manifest_that_does_not_fit_its_network_is_told_when_it_is_warmed_up(
    tmp_path: Path, answer: np.ndarray, changes: dict[str, object]
) -> None:
    detector = own_detector(tmp_path, answer, **changes)
    with pytest.raises(ModelError) as caught:
        detector.warm_up(64)
    for named in ('own.yaml', 'model own', 'output or classes', str(answer.shape), 'allowed'):
        assert named in str(caught.value)


def test_thresholds_and_limits_of_the_manifest_hold(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    answer = yolox_predictions(64, 64)
    assert len(detect(own_detector(tmp_path, answer), image, 64)) == 4
    assert len(detect(own_detector(tmp_path, answer, score_threshold=0.5), image, 64)) == 1
    assert len(detect(own_detector(tmp_path, answer, max_detections=2), image, 64)) == 2


def test_nothing_found_is_empty(tmp_path: Path) -> None:
    detector = own_detector(tmp_path, np.zeros_like(yolox_predictions(64, 64)))
    found = detect(detector, np.zeros((64, 64, 3), np.uint8), 64)
    assert len(found) == 0
    assert found.boxes_px.shape == (0, 4)


def test_boxes_return_to_a_source_that_was_centred_in_its_input(tmp_path: Path) -> None:
    detector = own_detector(tmp_path, yolox_predictions(64, 64))
    prepared = detector.preprocess(np.zeros((64, 128, 3), np.uint8), 64)
    assert prepared.geometry.offset_y_px == 16
    found = detector.postprocess(detector.forward(prepared), prepared)
    # cell 3 of the first row: centre (24, 4), size 8 * exp(0.5); 16 px of padding above the image
    size_px = 8 * np.exp(0.5)
    box = found.boxes_px[1]
    np.testing.assert_allclose(box[[0, 2]], [2 * (24 - size_px / 2), 2 * (24 + size_px / 2)])
    assert box[[1, 3]].tolist() == [0.0, 0.0]


def test_raw_output_of_another_model_is_refused(tmp_path: Path) -> None:
    detector = own_detector(tmp_path, yolox_predictions(64, 64))
    prepared = detector.preprocess(np.zeros((64, 64, 3), np.uint8), 64)
    with pytest.raises(ModelError, match='model own'):
        detector.postprocess(RawOutput((np.zeros((1, 2, 3), np.float32),)), prepared)
