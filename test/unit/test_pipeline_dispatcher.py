"""Every frame that arrives has exactly one fate."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest

from visionscaling_ros.datatypes import (
    Allocation,
    Detections,
    DropReason,
    ImageArray,
    OperatingPoint,
    Origin,
    SlotDecision,
)
from visionscaling_ros.errors import ImageFormatError, ModelError
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.dispatcher import Dispatcher, EdgeReply
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView
from visionscaling_ros.pipeline.upload_worker import Payload, Upload

IMAGE = np.zeros((48, 64, 3), np.uint8)
WAIT_S = 10.0


class BrightnessDetector:
    """A real, tiny detector: one box around the image, scored by its mean brightness."""

    class_names = ('bright',)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> ImageArray:
        return image_bgr

    def forward(self, prepared: Any) -> float:
        self.entered.set()
        self.gate.wait(WAIT_S)
        return float(prepared.mean()) / 255.0

    def postprocess(self, raw: Any, prepared: Any) -> Detections:
        height_px, width_px = prepared.shape[:2]
        return Detections(
            np.array([[0, 0, width_px, height_px]], np.float32),
            np.array([raw], np.float32),
            np.zeros(1, np.int64),
        )


class Models(dict[str, Any]):
    """Detectors by name, ready or (None) not."""

    def __init__(self, **detectors: Any) -> None:
        super().__init__(detectors)

    def detector(self, model: str) -> Any:
        return self.get(model)

    def class_names(self, model: str) -> tuple[str, ...]:
        return ('bright',)


class Bench:
    """A dispatcher with what it sends and decides written down."""

    def __init__(self, max_age_s: float = 30.0) -> None:
        self.detector = BrightnessDetector()
        self.uploads: list[Upload] = []
        self.fates: list[FrameFate] = []
        self.errors: list[DropReason] = []
        self.service: list[tuple[str, str]] = []
        self.models = Models(bright=self.detector)
        self._changed = threading.Condition()
        self.costs = CostTable()
        self.costs.put(OperatingPoint('bright', 64, 0.5, 0.01, 0.001, 1000.0))
        self.dispatcher = Dispatcher(
            models=self.models,
            encode=lambda image, model, size: Payload(b'x' * size),
            on_upload=lambda upload: self._note(self.uploads, upload),
            on_fate=lambda fate: self._note(self.fates, fate),
            on_error=lambda reason, words: self._note(self.errors, reason),
            on_service=lambda model, trouble: self._note(self.service, (model, trouble)),
            costs=self.costs,
            safe_point=('bright', 64),
            max_age_s=max_age_s,
        )
        self.dispatcher.start()

    def _note(self, notes: list[Any], item: Any) -> None:
        with self._changed:
            notes.append(item)
            self._changed.notify_all()

    def wait(self, notes: list[Any], count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(notes) >= count, WAIT_S), notes

    def decide(self, *allocations: Allocation, arrival_fps: float = 10.0) -> None:
        self.dispatcher.apply(SlotDecision(7, allocations, 0.0, 0.0, arrival_fps, 'test'))

    def frame(self) -> None:
        self.dispatcher.accept(lambda: IMAGE, 0, 'camera')

    def check_books(self) -> None:
        books = self.dispatcher.snapshot()
        assert books.arrived == (
            books.processed_local + books.processed_edge + books.dropped + books.in_flight
        )


@pytest.fixture
def bench() -> Any:
    bench = Bench()
    yield bench
    bench.detector.gate.set()
    bench.dispatcher.stop()
    bench.check_books()
    assert bench.dispatcher.snapshot().in_flight == 0
    numbers = Counter(fate.frame.number for fate in bench.fates)
    assert set(numbers.values()) <= {1}


LOCAL = Allocation('bright', 64, Origin.LOCAL, 10.0)
EDGE = Allocation('bright', 64, Origin.EDGE, 10.0)


def test_without_a_decision_frames_run_at_the_safe_point(bench: Bench) -> None:
    bench.frame()
    bench.wait(bench.fates, 1)
    assert bench.fates[0].processed
    assert bench.fates[0].origin is Origin.LOCAL
    assert len(bench.fates[0].detections) == 1
    assert bench.dispatcher.fallback


def test_a_decision_moves_frames_to_the_edge_and_back(bench: Bench) -> None:
    bench.dispatcher.set_edge_available(True)
    bench.decide(EDGE)
    bench.frame()
    bench.wait(bench.uploads, 1)
    number = bench.uploads[0].frame.number
    bench.dispatcher.take_reply(EdgeReply(number, True, Detections.empty(), 64, 48))
    bench.wait(bench.fates, 1)
    assert bench.fates[0].origin is Origin.EDGE
    assert (bench.fates[0].image_width_px, bench.fates[0].image_height_px) == (64, 48)
    bench.decide(LOCAL)
    bench.frame()
    bench.wait(bench.fates, 2)
    assert bench.fates[1].origin is Origin.LOCAL
    assert bench.fates[1].frame.slot == 7


def test_frames_beyond_the_rates_are_dropped_as_not_scheduled(bench: Bench) -> None:
    bench.decide(arrival_fps=10.0)
    for _ in range(5):
        bench.frame()
    assert [fate.drop_reason for fate in bench.fates] == [DropReason.NOT_SCHEDULED] * 5


def test_the_newest_frame_replaces_the_one_that_waits(bench: Bench) -> None:
    bench.detector.gate.clear()
    bench.frame()
    assert bench.detector.entered.wait(WAIT_S)
    bench.frame()
    bench.frame()
    bench.wait(bench.fates, 1)
    assert bench.fates[0].drop_reason is DropReason.SUPERSEDED
    assert bench.fates[0].frame.number == 2
    bench.detector.gate.set()
    bench.wait(bench.fates, 3)
    assert bench.dispatcher.snapshot().processed_local == 2


def test_an_edge_that_is_away_costs_no_frame(bench: Bench) -> None:
    bench.decide(EDGE)
    bench.frame()
    bench.wait(bench.fates, 1)
    assert bench.fates[0].processed
    assert bench.fates[0].origin is Origin.LOCAL


def test_what_the_edge_gives_back_runs_locally(bench: Bench) -> None:
    bench.dispatcher.set_edge_available(True)
    bench.decide(EDGE)
    bench.frame()
    bench.wait(bench.uploads, 1)
    number = bench.uploads[0].frame.number
    bench.dispatcher.take_reply(EdgeReply(number, False, Detections.empty()))
    bench.wait(bench.fates, 1)
    assert bench.fates[0].processed
    assert bench.fates[0].origin is Origin.LOCAL
    bench.dispatcher.take_reply(EdgeReply(number, True, Detections.empty()))  # a late answer
    assert len(bench.fates) == 1


@pytest.mark.parametrize('given_back', [True, False])
def test_a_frame_the_edge_cannot_take_runs_as_local_ones_do_else_as_it_would_have_there(
    bench: Bench, given_back: bool
) -> None:
    edge = Allocation('bright', 96, Origin.EDGE, 10.0)
    seldom = Allocation('bright', 32, Origin.LOCAL, 1e-6)
    for count, (lanes, size_px) in enumerate((((edge,), 96), ((edge, seldom), 32)), 1):
        bench.dispatcher.set_edge_available(given_back)
        bench.decide(*lanes)
        bench.frame()
        if given_back:
            bench.wait(bench.uploads, count)
            number = bench.uploads[-1].frame.number
            bench.dispatcher.take_reply(EdgeReply(number, False, Detections.empty()))
        bench.wait(bench.fates, count)
        assert bench.fates[-1].processed
        assert bench.fates[-1].frame.allocation is not None
        assert bench.fates[-1].frame.allocation.input_size_px == size_px


def test_a_bridge_that_never_answers_is_not_waited_for() -> None:
    bench = Bench(max_age_s=-1.0)  # every deadline has already passed
    bench.dispatcher.set_edge_available(True)
    bench.decide(EDGE)
    bench.frame()
    bench.wait(bench.uploads, 1)
    bench.dispatcher.close_overdue()
    assert [fate.drop_reason for fate in bench.fates] == [DropReason.EDGE_TIMEOUT]
    bench.dispatcher.stop()


def test_bad_images_and_raising_models_are_counted(bench: Bench) -> None:
    def broken() -> ImageArray:
        raise ImageFormatError('step = 3 is too small')

    bench.dispatcher.accept(broken, 0, 'camera')
    bench.wait(bench.fates, 1)
    bench.dispatcher.accept(lambda: None, 0, 'camera')  # type: ignore[arg-type, return-value]
    bench.wait(bench.fates, 2)
    assert [fate.drop_reason for fate in bench.fates] == [
        DropReason.INVALID_IMAGE,
        DropReason.INFERENCE_ERROR,
    ]
    assert bench.errors == [DropReason.INVALID_IMAGE, DropReason.INFERENCE_ERROR]


def test_frames_in_flight_at_the_end_are_counted_as_shutdown(bench: Bench) -> None:
    bench.dispatcher.set_edge_available(True)
    bench.decide(EDGE)
    bench.frame()
    bench.wait(bench.uploads, 1)
    bench.dispatcher.stop()
    assert [fate.drop_reason for fate in bench.fates] == [DropReason.SHUTDOWN]
    assert bench.dispatcher.accept(lambda: IMAGE, 0, 'camera') is None


def test_frames_older_than_their_use_are_dropped() -> None:
    bench = Bench(max_age_s=-1.0)
    bench.frame()
    bench.wait(bench.fates, 1)
    assert bench.fates[0].drop_reason is DropReason.TOO_OLD
    bench.dispatcher.stop()


def test_an_emulated_clock_stretches_the_gpu_time(bench: Bench) -> None:
    bench.dispatcher.set_clock(GpuClockView(frequency_hz=0.5e9, slowdown=4.0))
    bench.frame()
    bench.wait(bench.fates, 1)
    fate = bench.fates[0]
    assert fate.gpu_time_s > 0.0
    assert fate.latency_s >= fate.gpu_time_s
    assert bench.dispatcher.snapshot().gpu_busy_s == fate.gpu_time_s + fate.serial_time_s


def test_many_threads_lose_nothing(bench: Bench) -> None:
    bench.dispatcher.set_edge_available(True)
    bench.decide(
        Allocation('bright', 64, Origin.LOCAL, 4.0), Allocation('bright', 64, Origin.EDGE, 4.0)
    )

    def camera() -> None:
        for _ in range(200):
            bench.frame()
            for upload in bench.uploads[-3:]:
                bench.dispatcher.take_reply(
                    EdgeReply(upload.frame.number, True, Detections.empty())
                )
            bench.check_books()

    cameras = [threading.Thread(target=camera) for _ in range(3)]
    for thread in cameras:
        thread.start()
    for thread in cameras:
        thread.join()
    assert bench.dispatcher.snapshot().arrived == 600


def test_a_reply_to_an_earlier_dispatcher_is_not_taken_for_one_of_this() -> None:
    bench = Bench()
    later = Dispatcher(
        models=Models(bright=bench.detector),
        encode=lambda image, model, size: Payload(b'x'),
        on_upload=lambda upload: None,
        on_fate=lambda fate: bench._note(bench.fates, fate),
        on_error=lambda reason, words: None,
        on_service=lambda model, trouble: None,
        costs=bench.costs,
        safe_point=('bright', 64),
        first_number=1000,
    )
    later.start()
    later.set_edge_available(True)
    later.apply(SlotDecision(1, (EDGE,), 0.0, 0.0, 10.0, 'test'))
    frame = later.accept(lambda: IMAGE, 0, 'camera')
    assert frame is not None
    later.take_reply(EdgeReply(1, True, Detections.empty()))
    assert later.snapshot().in_flight == 1
    later.stop()
    bench.dispatcher.stop()


class NanDetector(BrightnessDetector):
    """Answers what no detector may."""

    def postprocess(self, raw: Any, prepared: Any) -> Detections:
        raise ModelError('nan: output has values that are not finite')


def test_a_fate_tells_what_really_ran_while_another_model_loads(bench: Bench) -> None:
    bench.decide(Allocation('loading', 96, Origin.LOCAL, 10.0))
    bench.models['loading'] = None
    bench.frame()
    bench.wait(bench.fates, 1)
    bench.models['loading'] = BrightnessDetector()
    bench.frame()
    bench.wait(bench.fates, 2)
    ran = [fate.frame.allocation for fate in bench.fates]
    assert [(a.model, a.input_size_px) for a in ran if a] == [('bright', 64), ('loading', 96)]
    assert all(fate.processed for fate in bench.fates)
    processed = bench.dispatcher.snapshot().processed
    assert {(a.model, a.input_size_px) for a in processed} == {('bright', 64), ('loading', 96)}


def test_a_model_that_answers_nonsense_costs_one_frame(bench: Bench) -> None:
    bench.models['nan'] = NanDetector()
    bench.costs.put(OperatingPoint('nan', 64, 0.6, 0.01, 0.001, 1000.0))
    bench.decide(Allocation('nan', 64, Origin.LOCAL, 10.0))
    for count in range(1, 4):
        bench.frame()
        bench.wait(bench.fates, count)
    reasons = [fate.drop_reason for fate in bench.fates]
    assert reasons == [DropReason.INFERENCE_ERROR, None, None]
    assert bench.service == [('nan', 'nan: output has values that are not finite')]
    assert bench.errors == []  # said once, not twice
    assert [p.model for p in bench.costs.points()] == ['bright']
    assert bench.dispatcher.out_of_service == {'nan': bench.service[0][1]}


def test_a_model_that_failed_starts_anew_with_the_next_dispatcher(bench: Bench) -> None:
    bench.models['bright'] = NanDetector()
    bench.frame()
    bench.wait(bench.fates, 1)
    assert bench.costs.points() == ()
    bench.frame()  # no model is left
    bench.wait(bench.fates, 2)
    assert bench.fates[1].drop_reason is DropReason.INFERENCE_ERROR
    bench.dispatcher.stop()
    assert [p.model for p in bench.costs.points()] == ['bright']
