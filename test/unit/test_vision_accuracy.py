from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.accuracy import LiveAccuracy, evaluate_map

CLASSES = 3


def objects(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Rows of x_min, y_min, x_max, y_max, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


TRUTH = objects((0, 0, 40, 40, 1, 0), (50, 50, 90, 90, 1, 2))


def test_perfect_is_one() -> None:
    scores = evaluate_map([TRUTH] * 3, [TRUTH] * 3, CLASSES)
    assert scores.map_50_95 == pytest.approx(1.0)
    assert scores.map_50 == pytest.approx(1.0)
    assert scores.per_class_50_95[0] == pytest.approx(1.0)
    assert math.isnan(scores.per_class_50_95[1])  # no such object anywhere
    assert scores.per_class_50_95[2] == pytest.approx(1.0)


def test_boxes_slightly_off_pass_the_loose_overlaps_only() -> None:
    shifted = objects((0, 0, 40, 31, 0.9, 0), (50, 50, 90, 81, 0.8, 2))  # IoU 0.775
    scores = evaluate_map([TRUTH], [shifted], CLASSES)
    assert scores.map_50 == pytest.approx(1.0)
    assert scores.map_50_95 == pytest.approx(0.6)  # 0.50 to 0.75 of ten overlaps


def test_wrong_class_is_wrong() -> None:
    swapped = objects((0, 0, 40, 40, 0.9, 2), (50, 50, 90, 90, 0.9, 0))
    assert evaluate_map([TRUTH], [swapped], CLASSES).map_50_95 == 0.0


def test_nothing_found_is_zero_and_nothing_to_find_is_nan() -> None:
    empty = Detections.empty()
    assert evaluate_map([TRUTH], [empty], CLASSES).map_50_95 == 0.0
    assert math.isnan(evaluate_map([empty], [TRUTH], CLASSES).map_50_95)
    assert math.isnan(evaluate_map([], [], CLASSES).map_50)


def test_false_alarms_cost_precision() -> None:
    alarm = objects((0, 60, 20, 80, 0.95, 0), (0, 0, 40, 40, 0.9, 0), (50, 50, 90, 90, 0.9, 2))
    scores = evaluate_map([TRUTH], [alarm], CLASSES)
    assert scores.per_class_50_95[0] == pytest.approx(0.5)
    assert scores.per_class_50_95[2] == pytest.approx(1.0)


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidValueError, match='results'):
        evaluate_map([TRUTH], [], CLASSES)


class TestLiveAccuracy:
    def test_nan_until_something_matches(self) -> None:
        live = LiveAccuracy(4, CLASSES)
        assert math.isnan(live.map_50_95())
        live.add_truth(1, TRUTH)
        live.add_result(2, TRUTH)
        assert math.isnan(live.map_50_95())

    def test_halves_meet_in_any_order(self) -> None:
        live = LiveAccuracy(4, CLASSES)
        live.add_truth(1, TRUTH)
        live.add_result(1, TRUTH)
        live.add_result(2, TRUTH)
        live.add_truth(2, TRUTH)
        assert live.matched_frames() == 2
        assert live.map_50_95() == pytest.approx(1.0)

    def test_window_forgets(self) -> None:
        live = LiveAccuracy(3, CLASSES)
        for stamp_ns in range(10):
            live.add_truth(stamp_ns, TRUTH)
            live.add_result(stamp_ns, TRUTH if stamp_ns >= 7 else Detections.empty())
        assert live.matched_frames() == 3
        assert live.map_50_95() == pytest.approx(1.0)

    def test_memory_is_bounded_when_halves_never_meet(self) -> None:
        live = LiveAccuracy(3, CLASSES)
        for stamp_ns in range(1000):
            live.add_truth(2 * stamp_ns, TRUTH)
            live.add_result(2 * stamp_ns + 1, TRUTH)
        assert len(live._truths) == len(live._results) == 3
        assert live.matched_frames() == 0

    def test_writer_and_reader_at_once(self) -> None:
        live = LiveAccuracy(5, CLASSES)

        def write() -> None:
            for stamp_ns in range(300):
                live.add_truth(stamp_ns, TRUTH)
                live.add_result(stamp_ns, TRUTH)

        writer = threading.Thread(target=write)
        writer.start()
        values = [live.map_50_95() for _ in range(10)]
        writer.join()
        assert all(math.isnan(value) or value == pytest.approx(1.0) for value in values)
        assert live.matched_frames() == 5

    def test_refuses_an_empty_window(self) -> None:
        with pytest.raises(InvalidValueError, match='window_frames'):
            LiveAccuracy(0, CLASSES)
