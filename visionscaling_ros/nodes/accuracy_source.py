"""How accurate each configuration is here and now: by the table, by a teacher, or by the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Detections, OperatingPoint
from visionscaling_ros.message_reading import msgs_to_detections
from visionscaling_ros.nodes.inference_parameters import GROUND_TRUTH, TABLE, TEACHER
from visionscaling_ros.nodes.live_accuracy import LiveAccuracyThread
from visionscaling_ros.nodes.model_shelf import ModelShelf
from visionscaling_ros.nodes.teacher import Teacher
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.upload_worker import Encode
from visionscaling_ros.vision.accuracy_correction import Correction, Evidence, correct
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.teacher_agreement import (
    AGREEMENT_SD,
    confident,
    evidence_of_agreement,
    renumbered,
)

TOLERANCE = 0.02  # accuracies are told anew once one moved by more than this

Point = tuple[str, int]


class AccuracySource:
    """Collects what was found beside what was there, and corrects the accuracies of the models.

    :param shelf: the models; the accuracies its costs tell are corrected.
    :param values: the node's parameters.
    :param encode: as for ``Teacher``; ``publish`` likewise.
    """

    def __init__(
        self,
        shelf: ModelShelf,
        values: Mapping[str, Any],
        encode: Encode,
        publish: Callable[[CompressedImage], None],
    ) -> None:
        self._shelf = shelf
        self._class_names = shelf.all_class_names(CLASS_NAMES)
        classes = len(self._class_names)
        self._truth = LiveAccuracyThread(values['accuracy_window_frames'], classes)
        self._agreement = LiveAccuracyThread(values['teacher_window_frames'], classes)
        self._agreement.per_point = True
        self.windows = self._truth, self._agreement
        self._teacher = Teacher(encode, publish, self._add_teacher)
        self._teacher.start()
        self._source = TABLE
        self._seen: tuple[object, ...] = ()
        self._told: dict[Point, float] = {}
        self._corrections: Mapping[Point, Correction] = {}

    @property
    def measured_map(self) -> float:
        """The mAP 50:95 of the last frames against ground truth; NaN without."""
        return self._truth.map_50_95

    def add_truth(self, stamp_ns: int, truth: Detections, class_names: Sequence[str]) -> None:
        """What is really in the image of this stamp."""
        self._truth.add_truth(stamp_ns, renumbered(truth, class_names, self._class_names))

    def add_truth_message(self, stamp_ns: int, message: msg.FrameResult) -> None:
        """The same as it comes on the topic; classes go by their names."""
        names = sorted({d.class_name for d in message.detections})
        truth = msgs_to_detections(message.detections)
        for index, detection in enumerate(message.detections):
            truth.class_ids[index] = names.index(detection.class_name)
        self.add_truth(stamp_ns, truth, names)

    def add_result(self, fate: FrameFate) -> None:
        """What was found in a processed frame; the teacher may be asked too."""
        self._teacher.offer(fate)
        found = renumbered(fate.detections, fate.class_names, self._class_names)
        self._truth.add_result(fate.frame.stamp_ns, found, _point(fate))

    def take_reply(self, reply: msg.FrameResult) -> bool:
        """Take the edge bridge's word on a frame the teacher was asked about; False for others."""
        return self._teacher.take_reply(reply)

    def _add_teacher(self, fate: FrameFate, found: Detections) -> None:
        """Only what the small model may find counts."""
        class_names = self._shelf.class_names(self._teacher.point[0])
        truth = confident(renumbered(found, class_names, fate.class_names))
        names = self._class_names
        number = fate.frame.number  # of one camera two frames may have the same stamp
        self._agreement.add_truth(number, renumbered(truth, fate.class_names, names))
        result = renumbered(fate.detections, fate.class_names, names)
        self._agreement.add_result(number, result, _point(fate))

    def update(self, values: Mapping[str, Any], *, edge_available: bool) -> None:
        """Follow the node's parameters, and correct the accuracies by what was measured since."""
        self._follow_classes()
        self._source = values['accuracy_source']
        self._truth.per_point = self._source == GROUND_TRUTH
        point, teacher_map = self._shelf.teacher_point(values['teacher_model'])
        if point != self._teacher.point:
            self._agreement.clear(len(self._class_names))
        self._teacher.point = point
        self._teacher.every_frames = values['teacher_every_frames']
        self._teacher.max_age_s = values['max_age_s']
        self._teacher.available = edge_available and self._source == TEACHER and teacher_map > 0.0
        self._correct(teacher_map)

    def _follow_classes(self) -> None:
        """Take up the classes of models that came since; the others keep their numbers."""
        names = self._shelf.all_class_names(self._class_names)
        if names != self._class_names:
            for window in self.windows:
                window.clear(len(names))
            self._class_names = names

    def _correct(self, teacher_map: float) -> None:
        points = self._shelf.costs.entered()
        seen = (
            self._source, teacher_map, self._truth.evaluations, self._agreement.evaluations,
            tuple((p.model, p.input_size_px, p.accuracy_map) for p in points),
        )  # fmt: skip
        if seen == self._seen:
            return
        self._seen = seen
        keys = [(p.model, p.input_size_px) for p in points]
        if self._source == TEACHER and teacher_map > 0.0:
            self._corrections = correct(
                self._teacher_evidence(points, teacher_map), keys, model_sd=AGREEMENT_SD
            )
        elif self._source == GROUND_TRUTH:
            self._corrections = correct(self._truth_evidence(points), keys)
        else:
            self._corrections = {}
        factors = {key: correction.factor for key, correction in self._corrections.items()}
        if _moved(self._told, factors):
            self._told = factors
            self._shelf.costs.correct_accuracy(factors)

    def describe(self) -> dict[str, object]:
        """For diagnostics: the source, and the factor on each accuracy with its deviation."""
        asked: dict[str, object] = {
            'teacher': '{}@{}'.format(*self._teacher.point),
            'teacher_asked': self._teacher.sent,
            'teacher_answered': self._teacher.answered,
            'teacher_last_refusal': self._teacher.last_refusal,
        }
        return {
            'accuracy_source': self._source,
            **(asked if self._source == TEACHER else {}),
            **{
                f'accuracy_factor {model}@{size_px}': f'{c.factor:.3f} (log sd {c.log_sd:.3f})'
                for (model, size_px), c in self._corrections.items()
            },
        }

    def stop(self) -> None:
        """End the threads; accuracies are by the table again."""
        self._teacher.stop()
        for window in self.windows:
            window.stop()
        self._shelf.costs.correct_accuracy({})

    def _teacher_evidence(
        self, points: Sequence[OperatingPoint], teacher_map: float
    ) -> dict[Point, Evidence]:
        return {
            (p.model, p.input_size_px): evidence_of_agreement(
                agreement, frames, accuracy_map=p.accuracy_map, teacher_map=teacher_map
            )
            for p, (agreement, frames) in _measured(points, self._agreement.by_point)
        }

    def _truth_evidence(self, points: Sequence[OperatingPoint]) -> dict[Point, Evidence]:
        return {
            (p.model, p.input_size_px): Evidence(measured_map, p.accuracy_map, frames)
            for p, (measured_map, frames) in _measured(points, self._truth.by_point)
        }


def _measured(
    points: Sequence[OperatingPoint], by_point: Mapping[Any, tuple[float, int]]
) -> list[tuple[OperatingPoint, tuple[float, int]]]:
    found = [(p, by_point.get((p.model, p.input_size_px))) for p in points]
    return [(p, measured) for p, measured in found if measured is not None]


def _point(fate: FrameFate) -> Point:
    assert fate.frame.allocation is not None
    return fate.frame.allocation.model, fate.frame.allocation.input_size_px


def _moved(told: Mapping[Point, float], factors: Mapping[Point, float]) -> bool:
    return told.keys() != factors.keys() or any(
        not math.isclose(factor, told[key], rel_tol=TOLERANCE) for key, factor in factors.items()
    )
