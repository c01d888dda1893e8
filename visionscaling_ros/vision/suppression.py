"""From a network's raw answer to a short list of objects: threshold and non-maximum suppression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import Detections, FloatArray, IntArray


def pairwise_iou(first_px: FloatArray, second_px: FloatArray) -> FloatArray:
    """Intersection over union of boxes (N, 4) and (M, 4) -> (N, M); 0 where both are empty."""
    corner_min = np.maximum(first_px[:, None, :2], second_px[None, :, :2])
    corner_max = np.minimum(first_px[:, None, 2:], second_px[None, :, 2:])
    intersection = np.prod(np.clip(corner_max - corner_min, 0.0, None), axis=2)
    area_first = np.prod(np.clip(first_px[:, 2:] - first_px[:, :2], 0.0, None), axis=1)
    area_second = np.prod(np.clip(second_px[:, 2:] - second_px[:, :2], 0.0, None), axis=1)
    union = area_first[:, None] + area_second[None, :] - intersection
    iou: FloatArray = (intersection / np.maximum(union, 1e-9)).astype(np.float32)
    return iou


def suppress(
    boxes_px: FloatArray, class_ids: IntArray, iou_threshold: float
) -> npt.NDArray[np.bool_]:
    """Greedy class-wise suppression of boxes sorted by falling score: mask (N,) of those kept."""
    overlaps = (pairwise_iou(boxes_px, boxes_px) > iou_threshold) & (
        class_ids[:, None] == class_ids[None, :]
    )
    keep = np.ones(len(boxes_px), np.bool_)
    for index in range(len(boxes_px)):
        if keep[index]:
            keep[index + 1 :] &= ~overlaps[index, index + 1 :]
    return keep


def select_detections(
    boxes_px: FloatArray,
    scores: FloatArray,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_candidates: int,
    max_detections: int,
) -> Detections:
    """Boxes (A, 4) and class scores (A, classes) -> distinct objects, best first."""
    anchors, class_ids = np.nonzero(scores > score_threshold)
    candidate_scores = scores[anchors, class_ids]
    order = np.argsort(-candidate_scores, kind='stable')[:max_candidates]
    boxes_px, class_ids = boxes_px[anchors[order]], class_ids[order].astype(np.int64)
    keep = np.flatnonzero(suppress(boxes_px, class_ids, iou_threshold))[:max_detections]
    return Detections(
        boxes_px[keep].astype(np.float32),
        candidate_scores[order][keep].astype(np.float32),
        class_ids[keep],
    )
