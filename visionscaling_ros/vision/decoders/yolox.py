"""Output in the format of YOLOX (Ge et al., 2021, arXiv:2107.08430): offsets within a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.decoder import (
    SCORES,
    STRIDES_PX,
    Candidates,
    Task,
    cell_count,
    corners,
    exponential,
    grid,
)
from visionscaling_ros.vision.decoders.objectness import strongest_objects


@dataclass(frozen=True)
class YoloxDecoder:
    """``predictions`` (1, A, 5 + classes): offset x, y, log width, height, objectness, classes.

    Centre = (cell + offset) * stride and size = exp(log size) * stride, unless the network was
    exported with its boxes decoded.

    :param decoded: the boxes are centres and sizes in pixels already.
    :param scores: ``probability``, as the published files have it, or ``logit``.
    """

    strides_px: tuple[int, ...] = STRIDES_PX
    decoded: bool = False
    scores: str = 'probability'
    roles = ('predictions',)

    @classmethod
    def read(cls, fields: Fields) -> YoloxDecoder:
        """From the ``output`` of a manifest."""
        return cls(
            strides_px=fields.wholes('strides_px', 1, 1024, STRIDES_PX),
            decoded=fields.flag('decoded', False),
            scores=fields.choice('scores', SCORES, 'probability'),
        )

    def decode(self, tensors: Sequence[FloatArray], task: Task) -> Candidates:
        """Candidates of the one image in ``tensors``; ModelError for another shape."""
        (predictions,) = tensors
        anchors = cell_count(task, self.strides_px)
        rows, class_ids, scores = strongest_objects(
            predictions, anchors, task, logits=self.scores == 'logit'
        )
        centers, sizes = predictions[0, rows, :2], predictions[0, rows, 2:4]
        if not self.decoded:
            cells = grid(task.width_px, task.height_px, self.strides_px)[rows]
            centers = (centers + cells[:, :2]) * cells[:, 2:]
            sizes = exponential(sizes) * cells[:, 2:]
        return Candidates(corners(centers, sizes), scores, class_ids)
