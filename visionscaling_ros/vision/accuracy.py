"""How right the detections are: COCO mean average precision, over a set or over the last frames."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
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
    truths: Sequence[Detections],
    results: Sequence[Detections],
    class_count: int,
    *,
    crowds: Sequence[Detections] | None = None,
) -> MapScores:
    """COCO mAP of ``results[i]`` against ``truths[i]``, boxes in the same pixels.

    At most the 100 best results of an image and class count, as COCO has it.

    :param crowds: regions of many objects (COCO ``iscrowd``): neither to be found nor wrong when
        found, any number of times.
    :raises InvalidValueError: these differ in length.
    """
    if len(truths) != len(results):
        raise InvalidValueError('results', f'{len(results)} images', f'{len(truths)} images')
    if crowds is not None and len(crowds) != len(truths):
        raise InvalidValueError('crowds', f'{len(crowds)} images', f'{len(truths)} images')
    if not any(len(truth) for truth in truths):
        return MapScores(math.nan, math.nan, (math.nan,) * class_count)
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 (slow import)

    truth_set = COCO(_coco_document(truths, crowds or (), class_count))
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
        self._results: OrderedDict[int, tuple[Detections, Hashable]] = OrderedDict()
        self._pairs: OrderedDict[int, tuple[Detections, Detections, Hashable]] = OrderedDict()

    def add_truth(self, stamp_ns: int, truth: Detections) -> None:
        """What was in the frame of this stamp."""
        with self._lock:
            self._truths[stamp_ns] = truth
            self._match(stamp_ns)

    def add_result(self, stamp_ns: int, result: Detections, point: Hashable = None) -> None:
        """What was found in the frame of this stamp, and in which configuration."""
        with self._lock:
            self._results[stamp_ns] = result, point
            self._match(stamp_ns)

    def matched_frames(self) -> int:
        """Frames in the window."""
        with self._lock:
            return len(self._pairs)

    def map_50_95(self) -> float:
        """The window's mAP; NaN while no frame has both, or none has anything to find."""
        with self._lock:
            pairs = [(truth, result) for truth, result, _ in self._pairs.values()]
        return self._map(pairs) if pairs else math.nan

    def by_point(self) -> dict[Hashable, tuple[float, int]]:
        """MAP and frames of each configuration in the window; none that had nothing to find."""
        with self._lock:
            pairs: dict[Hashable, list[tuple[Detections, Detections]]] = {}
            for truth, result, point in self._pairs.values():
                pairs.setdefault(point, []).append((truth, result))
        scores = {point: (self._map(of_point), len(of_point)) for point, of_point in pairs.items()}
        return {point: score for point, score in scores.items() if not math.isnan(score[0])}

    def _map(self, pairs: list[tuple[Detections, Detections]]) -> float:
        truths, results = zip(*pairs, strict=True)
        return evaluate_map(truths, results, self._class_count).map_50_95

    def _match(self, stamp_ns: int) -> None:
        if stamp_ns in self._truths and stamp_ns in self._results:
            self._pairs[stamp_ns] = (self._truths.pop(stamp_ns), *self._results.pop(stamp_ns))
        for waiting in (self._truths, self._results, self._pairs):
            while len(waiting) > self._window_frames:
                waiting.popitem(last=False)


def _coco_document(
    truths: Sequence[Detections], crowds: Sequence[Detections], class_count: int
) -> dict[str, Any]:
    annotations = _coco_annotations(truths, with_scores=False)
    for annotation in _coco_annotations(crowds, with_scores=False):
        annotations.append({**annotation, 'id': len(annotations) + 1, 'iscrowd': 1})
    return {
        'images': [{'id': i + 1} for i in range(len(truths))],
        'categories': [{'id': c, 'name': str(c)} for c in range(class_count)],
        'annotations': annotations,
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
