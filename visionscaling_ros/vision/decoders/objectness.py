"""Scores of networks that say first whether there is an object and then which."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.datatypes import FloatArray, IntArray
from visionscaling_ros.vision.decoders.decoder import (
    Task,
    check_shape,
    logit,
    sigmoid,
    strongest,
)

_FIRST_CLASS = 5  # after the box and the objectness


def strongest_objects(
    tensor: FloatArray, anchor_count: int, task: Task, *, logits: bool
) -> tuple[IntArray, IntArray, FloatArray]:
    """Anchors, classes and scores, descending, of predictions (1, anchors, 4 + 1 + classes).

    The score is objectness times class probability, so only anchors whose objectness alone is
    above the threshold are looked at any further. Raises ModelError for another shape.
    """
    check_shape('predictions', tensor, (1, anchor_count, _FIRST_CLASS + task.class_count), task)
    predictions, threshold = tensor[0], task.score_threshold
    objectness = predictions[:, 4]
    anchors = np.flatnonzero(objectness > (logit(threshold) if logits else threshold))
    objectness, classes = objectness[anchors], predictions[anchors, _FIRST_CLASS:]
    if logits:
        objectness, classes = sigmoid(objectness), sigmoid(classes)
    rows, class_ids, scores = strongest(
        objectness[:, None] * classes, threshold, task.max_candidates
    )
    return anchors[rows], class_ids, scores
