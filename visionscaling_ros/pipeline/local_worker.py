"""Runs frames on the robot, one at a time, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable

from visionscaling_ros.datatypes import Allocation, Detections, DropReason
from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.detector_port import DetectorPort
from visionscaling_ros.pipeline.frame import Frame, FrameFate
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView
from visionscaling_ros.pipeline.newest_worker import NewestWorker


class LocalWorker(NewestWorker[Frame]):
    """One thread that owns the local detectors.

    :param detector_of: the detector of a model name.
    :param on_fate: called from the worker's thread with the fate of every frame it took.
    :param on_error: called with a description when a frame could not be processed.
    :param costs: corrected by every frame processed.
    """

    def __init__(
        self,
        detector_of: Callable[[str], DetectorPort],
        on_fate: Callable[[FrameFate], None],
        on_error: Callable[[DropReason, str], None],
        costs: CostTable,
    ) -> None:
        super().__init__('local_worker')
        self._detector_of = detector_of
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
            self._on_error(DropReason.INFERENCE_ERROR, f'{allocation.model}: {error!r}')
            return self._dropped(frame, DropReason.INFERENCE_ERROR)

    def _detect(self, frame: Frame, allocation: Allocation) -> FrameFate:
        detector = self._detector_of(allocation.model)
        clock = self.clock
        started_s = time.perf_counter()
        image = frame.decode()
        prepared = detector.preprocess(image, allocation.input_size_px)
        prepared_s = time.perf_counter()
        raw = detector.forward(prepared)
        gpu_time_s = clock.stretch(time.perf_counter() - prepared_s)
        inferred_s = time.perf_counter()
        detections: Detections = detector.postprocess(raw, prepared)
        serial_s = (prepared_s - started_s) + (time.perf_counter() - inferred_s)
        self._costs.observe_local(
            allocation.model, allocation.input_size_px, clock.work_ghz_s(gpu_time_s), serial_s
        )
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
