"""Output in the format of SSD (Liu et al., ECCV 2016, arXiv:1512.02325): offsets from priors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import FloatArray, IntArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.decoder import (
    SCORES,
    Candidates,
    Task,
    check_shape,
    corners,
    exponential,
    logit,
    strongest,
)
from visionscaling_ros.vision.decoders.priors import Priors, read_priors


@dataclass(frozen=True)
class SsdDecoder:
    """``locations`` (1, A, 4) and ``confidences`` (1, A, classes + 1 for the background).

    Centre = prior centre + offset * variance * prior size, size = prior size * exp(offset *
    variance). Confidences are ``logit`` (softmax over classes and background) or ``probability``.

    :param variances: of the centre and of the size.
    :param background: ``first`` or ``last`` among the classes.
    """

    priors: Priors
    variances: tuple[float, float] = (0.1, 0.2)
    background: str = 'first'
    scores: str = 'logit'
    roles = ('locations', 'confidences')

    @classmethod
    def read(cls, fields: Fields) -> SsdDecoder:
        """From the ``output`` of a manifest."""
        variances = fields.numbers('variances', 1e-6, 1e3, (0.1, 0.2))
        if len(variances) != 2:
            raise InvalidValueError(
                fields.name_of('variances'), list(variances), 'two: of the centre, of the size'
            )
        return cls(
            priors=read_priors(fields.mapping('priors')),
            variances=(variances[0], variances[1]),
            background=fields.choice('background', ('first', 'last'), 'first'),
            scores=fields.choice('scores', SCORES, 'logit'),
        )

    def decode(self, tensors: Sequence[FloatArray], task: Task) -> Candidates:
        """Candidates of the one image in ``tensors``; ModelError for another shape."""
        locations, confidences = tensors
        count = self.priors.count(task.width_px, task.height_px)
        check_shape('locations', locations, (1, count, 4), task)
        check_shape('confidences', confidences, (1, count, task.class_count + 1), task)
        rows, class_ids, scores = self._strongest(confidences[0], task)
        priors = self.priors.boxes(task.width_px, task.height_px)[rows]
        offsets, (of_center, of_size) = locations[0, rows], self.variances
        centers = priors[:, :2] + offsets[:, :2] * of_center * priors[:, 2:]
        sizes = priors[:, 2:] * exponential(offsets[:, 2:] * of_size)
        return Candidates(corners(centers, sizes), scores, class_ids)

    def _strongest(
        self, confidences: FloatArray, task: Task
    ) -> tuple[IntArray, IntArray, FloatArray]:
        first = self.background == 'first'
        classes = slice(1, None) if first else slice(None, -1)
        if self.scores == 'probability':
            found = np.ascontiguousarray(confidences[:, classes])
            return strongest(found, task.score_threshold, task.max_candidates)
        # softmax is below the two-way one of class and background: the rest cannot reach the mark
        lead = confidences[:, classes].max(1) - confidences[:, 0 if first else -1]
        anchors = np.flatnonzero(lead > logit(task.score_threshold))
        logits = confidences[anchors]
        powers = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
        shares = np.ascontiguousarray((powers / powers.sum(1, keepdims=True))[:, classes])
        rows, class_ids, scores = strongest(shares, task.score_threshold, task.max_candidates)
        return anchors[rows], class_ids, scores
