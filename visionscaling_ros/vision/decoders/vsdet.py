"""Output of this package's own network: class logits and finished boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.decoder import (
    STRIDES_PX,
    Candidates,
    Task,
    cell_count,
    check_shape,
    logit,
    sigmoid,
    strongest,
)


@dataclass(frozen=True)
class VsdetDecoder:
    """``scores`` (1, A, classes) are logits, ``boxes`` (1, A, 4) corners in input pixels."""

    roles = ('scores', 'boxes')

    @classmethod
    def read(cls, _fields: Fields) -> VsdetDecoder:
        """It has no settings."""
        return cls()

    def decode(self, tensors: Sequence[FloatArray], task: Task) -> Candidates:
        """Candidates of the one image in ``tensors``; ModelError for another shape."""
        logits, boxes_px = tensors
        anchors = cell_count(task, STRIDES_PX)
        check_shape('scores', logits, (1, anchors, task.class_count), task)
        check_shape('boxes', boxes_px, (1, anchors, 4), task)
        rows, class_ids, found = strongest(
            logits[0], logit(task.score_threshold), task.max_candidates
        )
        return Candidates(boxes_px[0][rows], sigmoid(found), class_ids)
