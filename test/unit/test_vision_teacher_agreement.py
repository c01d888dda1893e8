"""Agreement with the largest model corrects the accuracy table, as far as it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.vision.accuracy import LiveAccuracy, evaluate_map
from visionscaling_ros.vision.accuracy_correction import (
    FACTOR_RANGE,
    MIN_FRAMES,
    POINT_SD,
    SCENE_SD,
    Evidence,
    correct,
)
from visionscaling_ros.vision.catalog import built_in_catalog
from visionscaling_ros.vision.detector import detect
from visionscaling_ros.vision.scene import StreetScene
from visionscaling_ros.vision.teacher_agreement import (
    AGREEMENT_OF_EQUALS,
    AGREEMENT_SD,
    confident,
    evidence_of_agreement,
    renumbered,
)

ratios = st.floats(0.05, 3.0)
frames = st.integers(0, 500)


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that spin for work slow each other down where tests share the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def detections(*objects: tuple[float, float, int]) -> Detections:
    """(left side, score, class) of boxes 10 px wide."""
    return Detections(
        np.array([[x, 0.0, x + 10.0, 10.0] for x, _, _ in objects], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in objects], np.float32),
        np.array([class_id for _, _, class_id in objects], np.int64),
    )


@given(st.dictionaries(st.integers(0, 5), st.tuples(ratios, frames)))
def test_corrections_stay_within_bounds_and_say_how_sure_they_are(
    seen: dict[int, tuple[float, int]],
) -> None:
    evidence = {key: Evidence(0.3 * ratio, 0.3, n) for key, (ratio, n) in seen.items()}
    found = correct(evidence, range(6))
    prior_sd = math.hypot(SCENE_SD, POINT_SD)
    for correction in found.values():
        assert FACTOR_RANGE[0] <= correction.factor <= FACTOR_RANGE[1]
        assert 0.0 < correction.log_sd <= prior_sd + 1e-9


@given(ratio=ratios, fewer=st.integers(MIN_FRAMES, 200), more=st.integers(1, 200))
def test_more_frames_move_the_table_further_towards_what_was_measured(
    ratio: float, fewer: int, more: int
) -> None:
    def factor(n: int) -> float:
        return correct({'a': Evidence(0.3 * ratio, 0.3, n)}, 'a')['a'].factor

    low, high = FACTOR_RANGE
    target = min(max(ratio, low), high)
    assert abs(math.log(factor(fewer + more) / target)) <= abs(
        math.log(factor(fewer) / target)
    ) + 1e-9
    assert min(1.0, target) - 1e-9 <= factor(fewer) <= max(1.0, target) + 1e-9


@given(st.dictionaries(st.integers(0, 5), st.tuples(ratios, st.integers(5, 500)), min_size=1))
def test_it_is_the_posterior_mean_of_the_normal_model(
    seen: dict[int, tuple[float, int]],
) -> None:
    """The same as solving the whole Gaussian model with matrices."""
    evidence = {key: Evidence(0.3 * ratio, 0.3, n) for key, (ratio, n) in seen.items()}
    keys = range(6)
    prior = np.full((6, 6), SCENE_SD**2) + POINT_SD**2 * np.eye(6)
    at = np.array(sorted(seen))
    noise = np.diag([0.1**2 + 0.25 / seen[k][1] for k in at])
    gain = prior[:, at] @ np.linalg.inv(prior[np.ix_(at, at)] + noise)
    mean = gain @ np.array([math.log(seen[k][0]) for k in at])
    variance = np.diag(prior - gain @ prior[at])
    found = correct(evidence, keys, model_sd=0.1)
    for key in keys:
        low, high = FACTOR_RANGE
        factor = min(max(math.exp(mean[key]), low), high)
        assert found[key].factor == pytest.approx(factor, rel=1e-6)
        assert found[key].log_sd == pytest.approx(math.sqrt(variance[key]), rel=1e-6)


def test_nothing_measured_leaves_the_table_as_it_is() -> None:
    few = {'a': Evidence(0.01, 0.3, MIN_FRAMES - 1)}
    assert correct(few, 'ab')['a'].factor == 1.0
    assert correct({}, 'a')['a'].factor == 1.0


def test_what_never_ran_moves_with_what_did_but_less() -> None:
    found = correct({'a': Evidence(0.15, 0.3, 60)}, 'ab')
    assert found['a'].factor < found['b'].factor < 0.75
    assert found['a'].log_sd < found['b'].log_sd


def test_no_agreement_at_all_is_evidence_too() -> None:
    assert correct({'a': Evidence(0.0, 0.3, 100)}, 'a')['a'].factor == FACTOR_RANGE[0]


def test_where_the_table_holds_the_expected_agreement_is_what_the_table_says() -> None:
    agreement = AGREEMENT_OF_EQUALS * 0.2 / 0.4
    evidence = evidence_of_agreement(agreement, 60, accuracy_map=0.2, teacher_map=0.4)
    assert evidence.measured_map == pytest.approx(evidence.expected_map)
    assert correct({'a': evidence}, 'a', model_sd=AGREEMENT_SD)['a'].factor == pytest.approx(1.0)


def test_only_what_the_teacher_is_sure_of_counts_as_truth() -> None:
    sure = confident(detections((0, 0.9, 1), (20, 0.49, 0)))
    assert sure.class_ids.tolist() == [1]
    assert sure.scores.tolist() == [1.0]


def test_classes_are_matched_by_name() -> None:
    found = detections((0, 0.9, 0), (20, 0.8, 1), (40, 0.7, 2), (60, 0.6, 9))
    same = renumbered(found, ('car', 'person', 'sofa'), ('person', 'truck', 'car'))
    assert same.class_ids.tolist() == [2, 0]
    assert same.boxes_px[:, 0].tolist() == [0.0, 20.0]


def test_the_window_keeps_what_each_configuration_found_apart() -> None:
    accuracy = LiveAccuracy(window_frames=4, class_count=1)
    truth = detections((0, 1.0, 0))
    for stamp in range(6):
        good = stamp % 2 == 0
        accuracy.add_truth(stamp, truth)
        accuracy.add_result(stamp, detections((0 if good else 50, 0.9, 0)), 'a' if good else 'b')
    assert accuracy.by_point() == {'a': (pytest.approx(1.0), 2), 'b': (0.0, 2)}
    assert accuracy.map_50_95() == pytest.approx(0.5, abs=0.2)


def fog(image_bgr: ImageArray) -> ImageArray:
    return (image_bgr * 0.35 + 150.0).astype(np.uint8)


STREET_FRAMES = 18


@pytest.fixture(scope='module')
def street() -> list[tuple[ImageArray, Detections]]:
    scenes = [StreetScene(5_000_000 + n, 640, 480) for n in range(STREET_FRAMES // 3)]
    return [scene.frame(k * 211) for scene in scenes for k in range(3)]


def test_a_small_detector_agrees_as_expected_on_clear_streets_and_less_in_fog(
    street: list[tuple[ImageArray, Detections]],
) -> None:
    catalog = built_in_catalog()
    names = [name for name in catalog.names() if name.startswith('vsdet')]
    small, large = catalog.entry(names[0]), catalog.entry(names[-1])
    size_px, teacher_size_px = small.input_sizes_px[0], large.input_sizes_px[-1]
    student, teacher = catalog.load(small.name), catalog.load(large.name)
    truths = [truth for _, truth in street]
    agreements, accuracies_map, teacher_map = {}, {}, {}
    for weather, change in (('clear', np.array), ('fog', fog)):
        images = [change(image) for image, _ in street]
        taught = [detect(teacher, image, teacher_size_px) for image in images]
        found = [detect(student, image, size_px) for image in images]
        teacher_map[weather] = evaluate_map(truths, taught, 4).map_50_95
        accuracies_map[weather] = evaluate_map(truths, found, 4).map_50_95
        agreements[weather] = evaluate_map([confident(t) for t in taught], found, 4).map_50_95
    factors = {}
    for weather, agreement in agreements.items():
        evidence = evidence_of_agreement(
            agreement,
            STREET_FRAMES,
            accuracy_map=accuracies_map['clear'],
            teacher_map=teacher_map['clear'],
        )
        factors[weather] = correct({'': evidence}, [''], model_sd=AGREEMENT_SD)[''].factor
    assert factors['clear'] == pytest.approx(1.0, abs=0.25)
    lost = math.log(accuracies_map['fog'] / accuracies_map['clear'])
    told = math.log(factors['fog'] / factors['clear'])
    assert told < 0.5 * lost  # most of the loss is seen, where the table sees none of it
    assert abs(told - lost) < 0.5 * abs(lost)
