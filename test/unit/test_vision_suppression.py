from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.vision.suppression import pairwise_iou, suppress


def random_boxes(seed: int, count: int, spread_px: float = 100.0) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, spread_px, (count, 2, 2))
    return np.sort(corners, axis=1).reshape(count, 4).astype(np.float32)


def crowded_boxes(seed: int, count: int) -> np.ndarray:
    """Boxes that shift little from one to the next: long chains of who suppresses whom."""
    steps = np.random.default_rng(seed).uniform(0, 6, (count, 2)).cumsum(0)
    return np.hstack([steps, steps + 20]).astype(np.float32)


def greedy(boxes: np.ndarray, classes: np.ndarray, threshold: float) -> list[bool]:
    """One by one: a box is kept unless a better one that is kept overlaps it."""
    keep: list[bool] = []
    for index in range(len(boxes)):
        overlaps = pairwise_iou(boxes[:index], boxes[index : index + 1])[:, 0] > threshold
        rivals = overlaps & (classes[:index] == classes[index])
        keep.append(not (rivals & np.array(keep, bool)).any())
    return keep


def test_iou_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(
        pairwise_iou(boxes, boxes), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]], rtol=1e-5
    )


def test_boxes_without_area_overlap_nothing() -> None:
    point = np.array([[5, 5, 5, 5]], np.float32)
    inside_out = np.array([[9, 9, 1, 1]], np.float32)
    for box in (point, inside_out):
        assert pairwise_iou(box, np.array([[0, 0, 10, 10]], np.float32)) == 0.0
        assert pairwise_iou(box, box) == 0.0


@given(seed=st.integers(0, 1000), count=st.integers(0, 40), threshold=st.floats(0.1, 0.9))
def test_survivors_do_not_overlap_and_the_suppressed_do(
    seed: int, count: int, threshold: float
) -> None:
    boxes = random_boxes(seed, count)
    classes = np.random.default_rng(seed).integers(0, 3, count)
    keep = suppress(boxes, classes, threshold)
    iou = pairwise_iou(boxes, boxes)
    same = classes[:, None] == classes[None, :]
    kept = np.flatnonzero(keep)
    clash = (iou > threshold) & same
    np.fill_diagonal(clash, False)
    assert not clash[np.ix_(kept, kept)].any()
    for lost in np.flatnonzero(~keep):
        assert clash[lost, kept[kept < lost]].any()  # by a better one
    assert count == 0 or keep[0]


@pytest.mark.parametrize('make', [random_boxes, crowded_boxes])
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    classes=st.integers(1, 4),
    threshold=st.floats(0.0, 1.0),
)
def test_same_answer_as_one_by_one(
    make: object, seed: int, count: int, classes: int, threshold: float
) -> None:
    boxes = make(seed, count)
    class_ids = np.random.default_rng(seed).integers(0, classes, count)
    assert suppress(boxes, class_ids, threshold).tolist() == greedy(boxes, class_ids, threshold)


def test_other_classes_do_not_suppress() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 2, np.float32)
    assert suppress(boxes, np.array([0, 1]), 0.5).tolist() == [True, True]
    assert suppress(boxes, np.array([1, 1]), 0.5).tolist() == [True, False]
