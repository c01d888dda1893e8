"""Output in the format of YOLOv8 and v11: boxes and classes by channel, without objectness."""

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
    check_shape,
    logit,
    sigmoid,
    strongest,
)

_BOX = 4


@dataclass(frozen=True)
class Yolov8Decoder:
    """``predictions`` (1, 4 + classes, A): centre x, y, width, height, then the classes.

    :param scores: ``probability`` or ``logit``.
    :param boxes: ``pixels`` of the input or ``relative`` to its sides.
    """

    strides_px: tuple[int, ...] = STRIDES_PX
    scores: str = 'probability'
    boxes: str = 'pixels'
    roles = ('predictions',)

    @classmethod
    def read(cls, fields: Fields) -> Yolov8Decoder:
        """From the ``output`` of a manifest."""
        return cls(
            strides_px=fields.wholes('strides_px', 1, 1024, STRIDES_PX),
            scores=fields.choice('scores', SCORES, 'probability'),
            boxes=fields.choice('boxes', UNITS, 'pixels'),
        )

    def decode(self, tensors: Sequence[FloatArray], task: Task) -> Candidates:
        """Candidates of the one image in ``tensors``; ModelError for another shape."""
        (predictions,) = tensors
        anchors = cell_count(task, self.strides_px)
        check_shape('predictions', predictions, (1, _BOX + task.class_count, anchors), task)
        threshold, logits = task.score_threshold, self.scores == 'logit'
        class_ids, columns, scores = strongest(
            predictions[0, _BOX:], logit(threshold) if logits else threshold, task.max_candidates
        )
        boxes = predictions[0][:_BOX, columns].T
        return Candidates(
            corners_px(boxes, self.boxes, task), sigmoid(scores) if logits else scores, class_ids
        )
