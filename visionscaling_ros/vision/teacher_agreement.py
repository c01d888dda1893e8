"""How far the small models agree with the largest one: a measure of accuracy without truth.

A frame that ran in some configuration is shown to the largest model too (the teacher, at the edge).
The teacher's confident detections are taken for the truth, and the average precision of the small
model's detections against them is its agreement.

Expected agreement. Where the accuracy table holds, a configuration of accuracy A agrees with a
teacher of accuracy A_T to about ``AGREEMENT_OF_EQUALS * A / A_T``: two models equally good still
make different mistakes. Measured on 60 generated street frames, the 19 other configurations of the
shipped network against its largest: the constant is 0.82, and the logarithm of what single
configurations reach scatters around it by 0.04. For three networks trained apart it was 0.67.

Correction. ``log(agreement / expected)`` is evidence for ``accuracy_correction.correct``, which
shrinks it to the table and shares it among the configurations. The teacher's own agreement is 1 by
construction and is no evidence; the teacher is corrected with the others.

Assumes that agreement falls as accuracy falls, since the small model suffers more from a bad scene
than the teacher. It sees what small inputs and narrow widths lose beside the teacher, not what
all lose alike, and widths of one network err alike: on the same frames darkened (fogged) their mAP
fell by 0.21 (0.47) in the mean logarithm and their agreement by 0.09 (0.15). It fails where the
teacher suffers more than the small models (strong sensor noise or blur, which low resolutions
average out): agreement then says too little about who is wrong. A teacher of another kind, trained
on more, sees more. One that is confident of nothing leaves no evidence, and the table stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.vision.accuracy_correction import Evidence

CONFIDENT_SCORE = 0.5
AGREEMENT_OF_EQUALS = 0.82
AGREEMENT_SD = 0.15  # of the logarithm of the constant: for networks it was not measured on


def confident(detections: Detections) -> Detections:
    """The detections sure enough to be taken for the truth."""
    sure = detections.scores >= CONFIDENT_SCORE
    return Detections(
        detections.boxes_px[sure],
        np.ones(int(sure.sum()), np.float32),
        detections.class_ids[sure],
    )


def evidence_of_agreement(
    agreement: float, frames: int, *, accuracy_map: float, teacher_map: float
) -> Evidence:
    """What an agreement over some frames says of a configuration.

    :param accuracy_map: of the configuration by the table; ``teacher_map`` of the teacher.
    """
    expected = min(1.0, AGREEMENT_OF_EQUALS * accuracy_map / teacher_map)
    return Evidence(agreement, expected, frames)


def renumbered(
    detections: Detections, class_names: Sequence[str], reference_names: Sequence[str]
) -> Detections:
    """The same objects with the class ids of ``reference_names``; classes not there are left out.

    Models of different training know different classes by different numbers.
    """
    if tuple(class_names) == tuple(reference_names):
        return detections
    number = {name: class_id for class_id, name in enumerate(reference_names)}
    class_ids = np.array(
        [
            number.get(class_names[k], -1) if 0 <= k < len(class_names) else -1
            for k in detections.class_ids.tolist()
        ],
        np.int64,
    )
    known = class_ids >= 0
    return Detections(detections.boxes_px[known], detections.scores[known], class_ids[known])
