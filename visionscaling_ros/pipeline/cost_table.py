"""What every configuration costs on this robot: measured at start, corrected by every frame."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections import Counter
from collections.abc import Mapping

from visionscaling_ros.datatypes import OperatingPoint

MEAN_FRAMES = 100  # of as many frames each cost is about the mean, once it was run as often
CALIBRATION_FRAMES = 10  # the cost first entered counts for as many
OUTLIER_RATIO = 3.0  # a sample further off than this counts as this far off
TOLERANCE = 0.05  # a cost is told anew once it moved by more than this


class CostTable:
    """Thread-safe table of operating points, each cost an outlier-clipped mean over many frames.

    Single frames vary by half where others use the same processor; a mean over a few of them
    would have the controller plan anew in every slot. So costs move slowly, over several slots,
    and are told anew only when one moved by more than 5 %. What changes faster (another load on
    the robot) the controller sees in how busy it is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: dict[tuple[str, int], OperatingPoint] = {}  # as told
        self._means: dict[tuple[str, int], OperatingPoint] = {}
        self._samples: Counter[tuple[tuple[str, int], str]] = Counter()
        self._at_nominal_clock: set[tuple[str, int]] = set()
        self._work_factor = 1.0
        self._withdrawn: set[str] = set()
        self._accuracy_factors: Mapping[tuple[str, int], float] = {}

    def put(self, point: OperatingPoint, *, at_nominal_clock: bool = True) -> None:
        """Enter a configuration with the costs first measured.

        :param at_nominal_clock: its GPU work is counted at NOMINAL_FREQUENCY_HZ, and is rescaled
            once the clock is known; False: at the real clock.
        """
        with self._lock:
            key = point.model, point.input_size_px
            self._at_nominal_clock.discard(key)
            if at_nominal_clock:
                self._at_nominal_clock.add(key)
                point = _with_work(point, self._work_factor)
            self._points[key] = self._means[key] = point
            for field in dataclasses.fields(point):
                self._samples[key, field.name] = CALIBRATION_FRAMES

    def points(self) -> tuple[OperatingPoint, ...]:
        """The configurations on offer, sorted by model and size, accuracies corrected."""
        with self._lock:
            return tuple(
                self._corrected(key)
                for key in sorted(self._points)
                if key[0] not in self._withdrawn
            )

    def entered(self) -> tuple[OperatingPoint, ...]:
        """All configurations, withdrawn or not, accuracies as entered."""
        with self._lock:
            return tuple(self._points[key] for key in sorted(self._points))

    def remove(self, model: str) -> None:
        """Forget the model."""
        with self._lock:
            self._withdrawn.discard(model)
            for key in [key for key in self._points if key[0] == model]:
                del self._points[key], self._means[key]
                self._at_nominal_clock.discard(key)

    def withdraw(self, model: str) -> None:
        """Offer the model no longer, but keep its costs."""
        with self._lock:
            self._withdrawn.add(model)

    def restore(self, model: str) -> None:
        """Offer it again."""
        with self._lock:
            self._withdrawn.discard(model)

    def correct_accuracy(self, factors: Mapping[tuple[str, int], float]) -> None:
        """Tell the accuracies entered times these factors; 1 for a configuration without one."""
        with self._lock:
            self._accuracy_factors = dict(factors)

    def rescale_work(self, factor: float) -> None:
        """Multiply the GPU work counted at the nominal clock, once the real one is known."""
        with self._lock:
            self._work_factor *= factor
            for points in (self._points, self._means):
                for key in self._at_nominal_clock:
                    points[key] = _with_work(points[key], factor)

    def observe_local(
        self, model: str, input_size_px: int, gpu_work_ghz_s: float, serial_s: float
    ) -> None:
        """Correct by one frame run on the robot."""
        self._correct(model, input_size_px, gpu_work_ghz_s=gpu_work_ghz_s, serial_s=serial_s)

    def observe_upload(self, model: str, input_size_px: int, upload_bits: float) -> None:
        """Correct by the size of one encoded frame."""
        self._correct(model, input_size_px, upload_bits=upload_bits)

    def observe_server(self, model: str, input_size_px: int, server_time_s: float) -> None:
        """Correct by the computing time one edge reply reported; NaN: its server did not."""
        if not math.isnan(server_time_s):
            self._correct(model, input_size_px, server_time_s=server_time_s)

    def _corrected(self, key: tuple[str, int]) -> OperatingPoint:
        point, factor = self._points[key], self._accuracy_factors.get(key)
        if factor is None:
            return point
        return dataclasses.replace(point, accuracy_map=min(1.0, factor * point.accuracy_map))

    def _correct(self, model: str, input_size_px: int, **samples: float) -> None:
        key = model, input_size_px
        with self._lock:
            mean = self._means.get(key)
            if mean is None:
                return
            told, moved = self._points[key], False
            for name, sample in samples.items():
                self._samples[key, name] += 1
                count = min(self._samples[key, name], MEAN_FRAMES)
                corrected = _mean(getattr(mean, name), sample, count)
                mean = dataclasses.replace(mean, **{name: corrected})  # type: ignore[arg-type]
                moved |= not math.isclose(corrected, getattr(told, name), rel_tol=TOLERANCE)
            self._means[key] = mean
            if moved:
                self._points[key] = mean


def _with_work(point: OperatingPoint, factor: float) -> OperatingPoint:
    return dataclasses.replace(point, gpu_work_ghz_s=factor * point.gpu_work_ghz_s)


def _mean(old: float, sample: float, count: int) -> float:
    if old <= 0.0:
        return sample
    clipped = min(max(sample, old / OUTLIER_RATIO), old * OUTLIER_RATIO)
    return old + (clipped - old) / count
