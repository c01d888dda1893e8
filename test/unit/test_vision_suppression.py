from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.vision.suppression import pairwise_iou, select_detections, suppress


def random_boxes(seed: int, count: int) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 100, (count, 2, 2))
    return np.sort(corners, axis=1).reshape(count, 4).astype(np.float32)


def test_iou_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(
        pairwise_iou(boxes, boxes), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]], rtol=1e-5
    )


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


def test_other_classes_do_not_suppress() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 2, np.float32)
    assert suppress(boxes, np.array([0, 1]), 0.5).tolist() == [True, True]
    assert suppress(boxes, np.array([1, 1]), 0.5).tolist() == [True, False]


@given(seed=st.integers(0, 1000), most=st.integers(1, 5))
def test_selection_is_thresholded_sorted_and_limited(seed: int, most: int) -> None:
    scores = np.random.default_rng(seed).uniform(0, 1, (30, 3)).astype(np.float32)
    found = select_detections(
        random_boxes(seed, 30), scores, score_threshold=0.6, iou_threshold=0.5,
        max_candidates=20, max_detections=most,
    )  # fmt: skip
    assert len(found) <= most
    assert (found.scores > 0.6).all()
    assert (np.diff(found.scores) <= 0).all()
    if (scores > 0.6).any():
        assert found.scores[0] == scores.max()
