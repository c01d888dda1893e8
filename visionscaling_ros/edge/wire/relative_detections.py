"""Detections on the wire: boxes as fractions of the image, so that neither end needs sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import Detections, FloatArray, IntArray


@dataclass(frozen=True)
class RelativeDetections:
    """Objects found in one image.

    boxes: float32 (N, 4), x_min y_min x_max y_max, fractions 0 to 1 of the image's size.
    scores: float32 (N,), 0 to 1. class_ids: int64 (N,).
    """

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def from_pixels(
        cls, detections: Detections, width_px: int, height_px: int
    ) -> RelativeDetections:
        """Divide by the image's size; what reaches over its edge is cut off."""
        boxes = detections.boxes_px / _scale(width_px, height_px)
        return cls(
            np.clip(boxes, 0.0, 1.0).astype(np.float32), detections.scores, detections.class_ids
        )

    def to_pixels(self, width_px: int, height_px: int) -> Detections:
        """Multiply by the image's size; the best score comes first."""
        order = np.argsort(-self.scores, kind='stable')
        boxes_px = (self.boxes * _scale(width_px, height_px)).astype(np.float32)
        return Detections(boxes_px[order], self.scores[order], self.class_ids[order])


def _scale(width_px: int, height_px: int) -> FloatArray:
    return np.array([width_px, height_px, width_px, height_px], np.float32)
