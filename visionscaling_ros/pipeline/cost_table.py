"""What every configuration costs on this robot: measured at start, corrected by every frame."""

from __future__ import annotations

import dataclasses
import threading

from visionscaling_ros.datatypes import OperatingPoint

SMOOTHING = 0.1  # weight of a new sample
OUTLIER_RATIO = 3.0  # a sample further off than this counts as this far off


class CostTable:
    """Thread-safe table of operating points, corrected by an outlier-clipped moving average."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: dict[tuple[str, int], OperatingPoint] = {}

    def put(self, point: OperatingPoint) -> None:
        """Enter a configuration with the costs first measured."""
        with self._lock:
            self._points[point.model, point.input_size_px] = point

    def points(self) -> tuple[OperatingPoint, ...]:
        """All configurations, sorted by model and size."""
        with self._lock:
            return tuple(self._points[key] for key in sorted(self._points))

    def rescale_work(self, factor: float) -> None:
        """Multiply the GPU work of all, once the clock it was measured at is known."""
        with self._lock:
            for key, point in self._points.items():
                self._points[key] = dataclasses.replace(
                    point, gpu_work_ghz_s=point.gpu_work_ghz_s * factor
                )

    def observe_local(
        self, model: str, input_size_px: int, gpu_work_ghz_s: float, serial_s: float
    ) -> None:
        """Correct by one frame run on the robot."""
        self._correct(model, input_size_px, gpu_work_ghz_s=gpu_work_ghz_s, serial_s=serial_s)

    def observe_upload(self, model: str, input_size_px: int, upload_bits: float) -> None:
        """Correct by the size of one encoded frame."""
        self._correct(model, input_size_px, upload_bits=upload_bits)

    def observe_server(self, model: str, input_size_px: int, server_time_s: float) -> None:
        """Correct by the computing time one edge reply reported."""
        self._correct(model, input_size_px, server_time_s=server_time_s)

    def _correct(self, model: str, input_size_px: int, **samples: float) -> None:
        with self._lock:
            point = self._points.get((model, input_size_px))
            if point is None:
                return
            for name, sample in samples.items():
                corrected = _smooth(getattr(point, name), sample)
                point = dataclasses.replace(point, **{name: corrected})  # type: ignore[arg-type]
            self._points[model, input_size_px] = point


def _smooth(old: float, sample: float) -> float:
    if old <= 0.0:
        return sample
    clipped = min(max(sample, old / OUTLIER_RATIO), old * OUTLIER_RATIO)
    return old + SMOOTHING * (clipped - old)
