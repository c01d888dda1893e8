"""Output in the format of YOLOv5 and its kin (v6, v7): boxes, objectness and classes by anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.center_boxes import UNITS, corners_px
from visionscaling_ros.vision.decoders.decoder import (
    SCORES,
    STRIDES_PX,
    Candidates,
    Task,
    cell_count,
)
from visionscaling_ros.vision.decoders.objectness import strongest_objects


@dataclass(frozen=True)
class Yolov5Decoder:
    """``predictions`` (1, A, 5 + classes): centre x, y, width, height, objectness, classes.

    :param anchors_per_cell: boxes each cell of a feature map predicts.
    :param scores: ``probability`` or ``logit``.
    :param boxes: ``pixels`` of the input or ``relative`` to its sides.
    """

    strides_px: tuple[int, ...] = STRIDES_PX
    anchors_per_cell: int = 3
    scores: str = 'probability'
    boxes: str = 'pixels'
    roles = ('predictions',)

    @classmethod
    def read(cls, fields: Fields) -> Yolov5Decoder:
        """From the ``output`` of a manifest."""
        return cls(
            strides_px=fields.wholes('strides_px', 1, 1024, STRIDES_PX),
            anchors_per_cell=fields.whole('anchors_per_cell', 1, 64, 3),
            scores=fields.choice('scores', SCORES, 'probability'),
            boxes=fields.choice('boxes', UNITS, 'pixels'),
        )

    def decode(self, tensors: Sequence[FloatArray], task: Task) -> Candidates:
        """Candidates of the one image in ``tensors``; ModelError for another shape."""
        (predictions,) = tensors
        anchors = self.anchors_per_cell * cell_count(task, self.strides_px)
        rows, class_ids, scores = strongest_objects(
            predictions, anchors, task, logits=self.scores == 'logit'
        )
        return Candidates(
            corners_px(predictions[0, rows, :4], self.boxes, task), scores, class_ids
        )
