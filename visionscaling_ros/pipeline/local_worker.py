"""Runs frames on the robot, one at a time, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable

from visionscaling_ros.datatypes import Allocation, Detections, DropReason, ImageArray
from visionscaling_ros.errors import ImageFormatError, ModelError
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.detector_port import DetectorPort
from visionscaling_ros.pipeline.frame import Frame, FrameFate
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView
from visionscaling_ros.pipeline.local_service import LocalService, words_of
from visionscaling_ros.pipeline.newest_worker import NewestWorker


class LocalWorker(NewestWorker[Frame]):
    """One thread that owns the local detectors.

    :param service: says which detector runs a frame, and is told how it went.
    :param on_fate: called from the worker's thread with the fate of every frame it took.
    :param on_error: called with a description when a frame could not be processed.
    :param costs: corrected by every frame processed.
    """

    def __init__(
        self,
        service: LocalService,
        on_fate: Callable[[FrameFate], None],
        on_error: Callable[[DropReason, str], None],
        costs: CostTable,
    ) -> None:
        super().__init__('local_worker')
        self._service = service
        self._on_fate = on_fate
        self._on_error = on_error
        self._costs = costs
        self.clock = GpuClockView()
        self.max_age_s = 1.0

    def work(self, item: Frame) -> None:
        """Give one frame its fate."""
        self._on_fate(self._process(item))

    def _process(self, frame: Frame) -> FrameFate:
        allocation = frame.allocation
        if allocation is None or time.monotonic() - frame.arrived_s > self.max_age_s:
            return self._dropped(frame, DropReason.TOO_OLD)
        try:
            return self._detect(frame, allocation)
        except ImageFormatError as error:
            self._on_error(DropReason.INVALID_IMAGE, str(error))
            return self._dropped(frame, DropReason.INVALID_IMAGE)
        except Exception as error:  # a model may raise anything; the robot keeps running
            self._on_error(DropReason.INFERENCE_ERROR, words_of(error))
            return self._dropped(frame, DropReason.INFERENCE_ERROR)

    def _detect(self, frame: Frame, allocation: Allocation) -> FrameFate:
        started_s = time.perf_counter()
        image = frame.decode()
        served = self._service.serve(allocation)
        if served is None:
            raise ModelError(f'{allocation.model}: neither it nor any other model can run now')
        frame.allocation, detector = served
        decoded_s = time.perf_counter() - started_s
        try:
            fate = self._run_model(frame, image, detector, decoded_s)
        except ImageFormatError:
            raise
        except Exception as error:
            if self._service.failed(frame.allocation.model, error):  # it was said already
                return self._dropped(frame, DropReason.INFERENCE_ERROR)
            raise
        self._service.succeeded(frame.allocation)
        return fate

    def _run_model(
        self, frame: Frame, image: ImageArray, detector: DetectorPort, decoded_s: float
    ) -> FrameFate:
        assert frame.allocation is not None
        model, input_size_px = frame.allocation.model, frame.allocation.input_size_px
        clock = self.clock
        started_s = time.perf_counter()
        prepared = detector.preprocess(image, input_size_px)
        prepared_s = time.perf_counter()
        raw = detector.forward(prepared)
        gpu_time_s = clock.stretch(time.perf_counter() - prepared_s)
        inferred_s = time.perf_counter()
        detections: Detections = detector.postprocess(raw, prepared)
        serial_s = decoded_s + (prepared_s - started_s) + (time.perf_counter() - inferred_s)
        self._costs.observe_local(model, input_size_px, clock.work_ghz_s(gpu_time_s), serial_s)
        return FrameFate(
            frame,
            latency_s=time.monotonic() - frame.arrived_s,
            detections=detections,
            class_names=detector.class_names,
            image_width_px=image.shape[1],
            image_height_px=image.shape[0],
            gpu_time_s=gpu_time_s,
            serial_time_s=serial_s,
        )

    @staticmethod
    def _dropped(frame: Frame, reason: DropReason) -> FrameFate:
        return FrameFate(frame, time.monotonic() - frame.arrived_s, drop_reason=reason)
