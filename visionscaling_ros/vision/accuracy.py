"""COCO mean average precision of detections, by faster-coco-eval."""

from __future__ import annotations

import contextlib
import io
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from visionscaling_ros.datatypes import Detections


@dataclass(frozen=True)
class MapScores:
    """mAP over IoU 0.50 to 0.95 and at 0.50; NaN without any object to find."""

    map_50_95: float
    map_50: float


def evaluate_map(truths: Sequence[Detections], results: Sequence[Detections]) -> MapScores:
    """Score the results of images against their truths, image by image."""
    if len(truths) != len(results):
        raise ValueError(f'{len(truths)} truths for {len(results)} results')
    if not any(len(truth) for truth in truths):
        return MapScores(math.nan, math.nan)
    if not any(len(result) for result in results):
        return MapScores(0.0, 0.0)
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415  (slow to import)

    class_ids = {int(i) for detections in (*truths, *results) for i in detections.class_ids}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(
            {
                'images': [{'id': index} for index in range(len(truths))],
                'categories': [{'id': i, 'name': str(i)} for i in sorted(class_ids)],
                'annotations': _annotations(truths, scored=False),
            }
        )
        evaluation = COCOeval_faster(
            truth, truth.loadRes(_annotations(results, scored=True)), 'bbox'
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return MapScores(float(evaluation.stats[0]), float(evaluation.stats[1]))


def _annotations(images: Sequence[Detections], *, scored: bool) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for image_id, detections in enumerate(images):
        for box, score, class_id in zip(
            detections.boxes_px.tolist(),
            detections.scores.tolist(),
            detections.class_ids.tolist(),
            strict=True,
        ):
            width_px, height_px = box[2] - box[0], box[3] - box[1]
            annotation = {
                'id': len(annotations) + 1,
                'image_id': image_id,
                'category_id': class_id,
                'bbox': [box[0], box[1], width_px, height_px],
                'area': width_px * height_px,
                'iscrowd': 0,
            }
            annotations.append({**annotation, 'score': score} if scored else annotation)
    return annotations


class LiveAccuracy:
    """mAP of the newest frames that have both truth and result, whichever comes first.

    :param window_frames: frames the mAP is taken over; as many unmatched ones are kept.
    """

    def __init__(self, window_frames: int) -> None:
        self._window_frames = window_frames
        self._lock = threading.Lock()
        self._truths: OrderedDict[int, Detections] = OrderedDict()
        self._results: OrderedDict[int, Detections] = OrderedDict()
        self._matched: OrderedDict[int, tuple[Detections, Detections]] = OrderedDict()

    def add_truth(self, stamp_ns: int, truth: Detections) -> None:
        """What is really in the image of this stamp."""
        self._add(stamp_ns, truth, self._truths)

    def add_result(self, stamp_ns: int, result: Detections) -> None:
        """What was detected in it."""
        self._add(stamp_ns, result, self._results)

    def map_50_95(self) -> float:
        """MAP 50:95 over the window; NaN while nothing matched."""
        with self._lock:
            pairs = list(self._matched.values())
        return evaluate_map([p[0] for p in pairs], [p[1] for p in pairs]).map_50_95

    def _add(
        self, stamp_ns: int, detections: Detections, waiting: OrderedDict[int, Detections]
    ) -> None:
        with self._lock:
            waiting[stamp_ns] = detections
            if stamp_ns in self._truths and stamp_ns in self._results:
                self._matched[stamp_ns] = (
                    self._truths.pop(stamp_ns),
                    self._results.pop(stamp_ns),
                )
            for kept in (waiting, self._matched):
                while len(kept) > self._window_frames:
                    kept.popitem(last=False)
