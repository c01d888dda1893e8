"""From candidate objects to distinct ones: non-maximum suppression without a loop over them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import FloatArray, IntArray


def pairwise_iou(first_px: FloatArray, second_px: FloatArray) -> FloatArray:
    """Intersection over union of boxes (N, 4) and (M, 4) -> (N, M); 0 where both are empty."""
    x_min, y_min, x_max, y_max = (side[:, None] for side in first_px.T)
    x_min_2, y_min_2, x_max_2, y_max_2 = second_px.T
    width_px = np.minimum(x_max, x_max_2) - np.maximum(x_min, x_min_2)
    height_px = np.minimum(y_max, y_max_2) - np.maximum(y_min, y_min_2)
    intersection = np.maximum(width_px, 0.0) * np.maximum(height_px, 0.0)
    union = _areas(first_px)[:, None] + _areas(second_px)[None, :] - intersection
    iou: FloatArray = (intersection / np.maximum(union, 1e-9)).astype(np.float32, copy=False)
    return iou


def suppress(
    boxes_px: FloatArray, class_ids: IntArray, iou_threshold: float
) -> npt.NDArray[np.bool_]:
    """Greedy class-wise suppression of boxes sorted by falling score: mask (N,) of those kept.

    A box is kept if no better one that is kept overlaps it. Starting from all kept and asking
    again until nothing changes gives the same answer as going through them one by one: after k
    rounds the boxes are settled whose fate hangs on a chain of at most k better ones.
    """
    rivals = pairwise_iou(boxes_px, boxes_px) > iou_threshold
    rivals &= class_ids[:, None] == class_ids[None, :]
    better, worse = np.nonzero(np.triu(rivals, 1))
    count = len(boxes_px)
    keep = np.ones(count, np.bool_)
    while True:
        settled = np.bincount(worse[keep[better]], minlength=count) == 0
        if np.array_equal(settled, keep):
            return keep
        keep = settled


def _areas(boxes_px: FloatArray) -> FloatArray:
    sides_px = np.maximum(boxes_px[:, 2:] - boxes_px[:, :2], 0.0)
    areas: FloatArray = sides_px[:, 0] * sides_px[:, 1]
    return areas
