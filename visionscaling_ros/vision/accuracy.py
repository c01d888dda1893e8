"""How right the detections are: COCO mean average precision, over a set or over the last frames."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import InvalidValueError


@dataclass(frozen=True)
class MapScores:
    """mAP averaged over overlaps 0.50 to 0.95 and at 0.50; NaN where there was nothing to find.

    per_class_50_95: one value per class id.
    """

    map_50_95: float
    map_50: float
    per_class_50_95: tuple[float, ...]


def evaluate_map(
    truths: Sequence[Detections], results: Sequence[Detections], class_count: int
) -> MapScores:
    """COCO mAP of ``results[i]`` against ``truths[i]``, boxes in the same pixels.

    Raises InvalidValueError when the two differ in length.
    """
    if len(truths) != len(results):
        raise InvalidValueError('results', f'{len(results)} images', f'{len(truths)} images')
    if not any(len(truth) for truth in truths):
        return MapScores(math.nan, math.nan, (math.nan,) * class_count)
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 (slow import)

    truth_set = COCO(_coco_document(truths, class_count))
    found = _coco_annotations(results, with_scores=True)
    if not found:
        seen = {int(c) for truth in truths for c in truth.class_ids}
        scores = tuple(0.0 if c in seen else math.nan for c in range(class_count))
        return MapScores(0.0, 0.0, scores)
    evaluation = COCOeval_faster(
        truth_set, truth_set.loadRes(found), 'bbox', print_function=lambda *_: None
    )
    evaluation.evaluate()
    evaluation.accumulate()
    # (overlaps, recalls, classes, areas, max detections); -1 where a class has no truth
    precision = np.asarray(evaluation.eval['precision'])[:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    per_class = tuple(_mean(precision[:, :, c]) for c in range(class_count))
    return MapScores(_mean(precision), _mean(precision[0]), per_class)


class LiveAccuracy:
    """mAP over the newest ``window_frames`` frames that have both a truth and a result.

    Truth and result of a frame meet by stamp, in any order. Safe for one writer and one reader;
    a frame whose other half never comes is forgotten after as many frames as the window holds.
    """

    def __init__(self, window_frames: int, class_count: int) -> None:
        if window_frames < 1:
            raise InvalidValueError('window_frames', window_frames, '1 or more')
        self._window_frames = window_frames
        self._class_count = class_count
        self._lock = threading.Lock()
        self._truths: OrderedDict[int, Detections] = OrderedDict()
        self._results: OrderedDict[int, Detections] = OrderedDict()
        self._pairs: OrderedDict[int, tuple[Detections, Detections]] = OrderedDict()

    def add_truth(self, stamp_ns: int, truth: Detections) -> None:
        """What was in the frame of this stamp."""
        with self._lock:
            self._truths[stamp_ns] = truth
            self._match(stamp_ns)

    def add_result(self, stamp_ns: int, result: Detections) -> None:
        """What was found in the frame of this stamp."""
        with self._lock:
            self._results[stamp_ns] = result
            self._match(stamp_ns)

    def matched_frames(self) -> int:
        """Frames in the window."""
        with self._lock:
            return len(self._pairs)

    def map_50_95(self) -> float:
        """The window's mAP; NaN while no frame has both, or none has anything to find."""
        with self._lock:
            pairs = list(self._pairs.values())
        if not pairs:
            return math.nan
        truths, results = zip(*pairs, strict=True)
        return evaluate_map(truths, results, self._class_count).map_50_95

    def _match(self, stamp_ns: int) -> None:
        if stamp_ns in self._truths and stamp_ns in self._results:
            self._pairs[stamp_ns] = (self._truths.pop(stamp_ns), self._results.pop(stamp_ns))
        for waiting in (self._truths, self._results, self._pairs):
            while len(waiting) > self._window_frames:
                waiting.popitem(last=False)


def _coco_document(truths: Sequence[Detections], class_count: int) -> dict[str, Any]:
    return {
        'images': [{'id': i + 1} for i in range(len(truths))],
        'categories': [{'id': c, 'name': str(c)} for c in range(class_count)],
        'annotations': _coco_annotations(truths, with_scores=False),
    }


def _coco_annotations(sets: Sequence[Detections], *, with_scores: bool) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for image, objects in enumerate(sets, 1):
        sides = objects.boxes_px[:, 2:] - objects.boxes_px[:, :2]
        boxes = np.hstack([objects.boxes_px[:, :2], sides])
        for box, score, class_id in zip(boxes, objects.scores, objects.class_ids, strict=True):
            annotation: dict[str, Any] = {
                'id': len(annotations) + 1,
                'image_id': image,
                'category_id': int(class_id),
                'bbox': [float(v) for v in box],
                'area': float(box[2] * box[3]),
                'iscrowd': 0,
            }
            if with_scores:
                annotation['score'] = float(score)
            annotations.append(annotation)
    return annotations


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
