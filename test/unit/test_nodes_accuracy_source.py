"""Accuracies told to the controller: by the table, by a teacher at the edge, or by the truth."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Allocation, Detections, ImageArray, OperatingPoint, Origin
from visionscaling_ros.nodes import live_accuracy
from visionscaling_ros.nodes.accuracy_source import AccuracySource
from visionscaling_ros.nodes.conversions import detections_to_msgs
from visionscaling_ros.nodes.inference_parameters import GROUND_TRUTH, PARAMETERS, TABLE, TEACHER
from visionscaling_ros.nodes.offload_format import parse_offload_label
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.frame import Frame, FrameFate
from visionscaling_ros.pipeline.upload_worker import Payload
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES

WAIT_S = 10.0
IMAGE = np.zeros((48, 64, 3), np.uint8)
POINT, OTHER, LARGEST = ('small', 64), ('small', 96), ('large', 96)
TABLE_MAP = {POINT: 0.2, OTHER: 0.3, LARGEST: 0.5}
CAR = CLASS_NAMES.index('car')
FOUND = Detections(
    np.array([[10, 10, 30, 30]], np.float32), np.array([0.9], np.float32), np.array([CAR])
)
ELSEWHERE = Detections(
    np.array([[40, 10, 60, 30]], np.float32), np.array([0.9], np.float32), np.array([CAR])
)


class Shelf:
    """Two models with a cost table."""

    def __init__(self) -> None:
        self.costs = CostTable()
        self.more_class_names: tuple[str, ...] = ()
        for (model, size_px), accuracy_map in TABLE_MAP.items():
            self.costs.put(OperatingPoint(model, size_px, accuracy_map, 0.01, 0.001, 1e4))

    def all_class_names(self, first: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*first, *self.more_class_names]))

    def class_names(self, model: str) -> tuple[str, ...]:
        return ('sofa', 'car')  # the teacher's own numbering

    def teacher_point(self, model: str) -> tuple[tuple[str, int], float]:
        point = OTHER if model else LARGEST
        return point, TABLE_MAP[point]


class Bench:
    def __init__(self) -> None:
        self.shelf = Shelf()
        self.values: dict[str, Any] = {p.name: p.default for p in PARAMETERS}
        self.values.update(teacher_every_frames=3, accuracy_source=TEACHER)
        self.changed = threading.Condition()
        self.sent: list[Any] = []
        self.number = 0
        self.source = AccuracySource(
            self.shelf,  # type: ignore[arg-type]
            self.values,
            encode=lambda image, model, size_px: Payload(b'x' * size_px),
            publish=self.publish,
        )
        self.update()

    def publish(self, message: Any) -> None:
        with self.changed:
            self.sent.append(message)
            self.changed.notify_all()

    def update(self, *, edge_available: bool = True) -> None:
        self.source.update(self.values, edge_available=edge_available)

    def process(
        self,
        point: tuple[str, int] = POINT,
        found: Detections = FOUND,
        class_names: tuple[str, ...] = CLASS_NAMES,
    ) -> FrameFate:
        self.number += 1
        frame = Frame(self.number, self.number, 'camera', 0.0, self.decode, slot=4)
        frame.allocation = Allocation(*point, Origin.LOCAL, 1.0)
        fate = FrameFate(
            frame, 0.01, detections=found, class_names=class_names,
            image_width_px=64, image_height_px=48,
        )  # fmt: skip
        self.source.add_result(fate)
        return fate

    def decode(self) -> ImageArray:
        return IMAGE

    def wait_sent(self, count: int) -> list[Any]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= count, WAIT_S)
            return self.sent

    def reply(self, number: int, found: Detections | None) -> bool:
        result = msg.FrameResult(frame_number=number, drop_reason='superseded')
        result.status = msg.FrameResult.STATUS_DROPPED
        if found is not None:
            result.status = msg.FrameResult.STATUS_PROCESSED
            result.detections = detections_to_msgs(found, ())
            for detection in result.detections:
                detection.class_id = 1  # car, as the teacher numbers it
        return self.source.take_reply(result)

    def told(self) -> dict[tuple[str, int], float]:
        return {(p.model, p.input_size_px): p.accuracy_map for p in self.shelf.costs.points()}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(live_accuracy, 'PERIOD_S', 3600.0)  # the tests say when
    made = Bench()
    yield made
    made.source.stop()


def test_every_so_many_th_processed_frame_is_shown_to_the_teacher(bench: Bench) -> None:
    for count in (1, 2):
        for _ in range(3):
            bench.process()
        bench.wait_sent(count)
    labels = [parse_offload_label(message.format) for message in bench.sent]
    assert [label.frame for label in labels] == [3, 6]
    assert {(label.model, label.size, label.spare) for label in labels} == {(*LARGEST, 1)}
    assert {(label.width, label.height, label.slot) for label in labels} == {(64, 48, 4)}


def test_nothing_is_sent_without_an_edge_or_in_another_mode_or_of_the_teacher_itself(
    bench: Bench,
) -> None:
    bench.update(edge_available=False)
    for _ in range(6):
        bench.process()
    for source in (TABLE, GROUND_TRUTH):
        bench.values['accuracy_source'] = source
        bench.update()
        for _ in range(6):
            bench.process()
    bench.values['accuracy_source'] = TEACHER
    bench.update()
    bench.process(LARGEST)
    bench.process()  # long due: this one is sent, and it is the first
    assert parse_offload_label(bench.wait_sent(1)[0].format).frame == bench.number


def test_a_reply_is_taken_once_and_only_for_what_was_shown(bench: Bench) -> None:
    assert not bench.reply(3, FOUND)
    for _ in range(3):
        bench.process()
    bench.wait_sent(1)
    assert not bench.reply(2, FOUND)
    assert bench.reply(3, None)
    assert not bench.reply(3, FOUND)
    assert bench.source.describe()['teacher_last_refusal'] == 'superseded'


@pytest.mark.parametrize('agrees', [True, False])
def test_agreement_corrects_what_is_told(bench: Bench, agrees: bool) -> None:
    bench.values['teacher_every_frames'] = 1
    bench.update()
    for count in range(1, 13):
        fate = bench.process()
        bench.wait_sent(count)
        assert bench.reply(fate.frame.number, FOUND if agrees else ELSEWHERE)
    told = _told_after_evaluation(bench)
    assert (told[POINT] > TABLE_MAP[POINT]) is agrees
    assert (told[OTHER] > TABLE_MAP[OTHER]) is agrees  # it never ran: it moves with the other
    ratios = {key: abs(told[key] / TABLE_MAP[key] - 1.0) for key in (POINT, OTHER)}
    assert ratios[POINT] > ratios[OTHER] - 1e-9  # both may be at the bound
    assert ratios[OTHER] > 0.02
    words = bench.source.describe()
    assert words['accuracy_source'] == TEACHER
    assert words['teacher'] == 'large@96'
    assert words['teacher_answered'] == 12
    assert 'log sd' in str(words['accuracy_factor small@64'])
    bench.values['accuracy_source'] = TABLE
    bench.update()
    assert bench.told() == TABLE_MAP
    assert bench.source.describe() == {'accuracy_source': TABLE}


def test_what_another_teacher_said_is_forgotten_and_stopping_brings_back_the_table(
    bench: Bench,
) -> None:
    bench.values['teacher_every_frames'] = 1
    bench.update()
    for count in range(1, 13):
        fate = bench.process()
        bench.wait_sent(count)
        bench.reply(fate.frame.number, FOUND)
    assert _told_after_evaluation(bench) != TABLE_MAP
    bench.values['teacher_model'] = 'another'
    bench.update()
    assert _told_after_evaluation(bench) == pytest.approx(TABLE_MAP)
    bench.process()
    bench.source.stop()
    assert bench.told() == TABLE_MAP


def test_what_a_teacher_was_asked_before_another_took_over_does_not_count(bench: Bench) -> None:
    bench.values['teacher_every_frames'] = 1
    bench.update()
    fate = bench.process()
    bench.wait_sent(1)
    bench.values['teacher_model'] = 'another'
    bench.update()
    assert bench.reply(fate.frame.number, FOUND)  # it is no reply to anyone else
    assert bench.source.describe()['teacher_answered'] == 0


def test_classes_of_a_model_that_came_later_count_too(bench: Bench) -> None:
    bench.values['accuracy_source'] = GROUND_TRUTH
    bench.shelf.more_class_names = ('kangaroo',)
    bench.update()
    found = Detections(FOUND.boxes_px, FOUND.scores, np.array([0]))
    for count in range(1, 13):
        bench.source.add_truth(count, found, ('kangaroo',))
        bench.process(found=found, class_names=('kangaroo',))
    told = _told_after_evaluation(bench)
    assert bench.source.measured_map == pytest.approx(1.0)
    assert told[POINT] > 1.3 * TABLE_MAP[POINT]


def test_ground_truth_corrects_what_is_told_and_classes_go_by_name(bench: Bench) -> None:
    bench.values['accuracy_source'] = GROUND_TRUTH
    bench.update()
    for count in range(1, 13):
        truth = msg.FrameResult(detections=detections_to_msgs(FOUND, CLASS_NAMES))
        for detection in truth.detections:
            detection.class_id = 77  # numbers are the publisher's own
        bench.source.add_truth_message(count, truth)
        bench.process()
    told = _told_after_evaluation(bench)
    assert told[POINT] > 1.3 * TABLE_MAP[POINT]
    assert bench.source.measured_map == pytest.approx(1.0)
    assert bench.source.describe()['accuracy_source'] == GROUND_TRUTH


def _told_after_evaluation(bench: Bench) -> dict[tuple[str, int], float]:
    for window in bench.source.windows:
        window.evaluate()
    bench.update()
    return bench.told()
