"""A device as fitted to what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from visionscaling_ros.profiling.device_fits import (
    LatencyFit,
    PowerFit,
    fit_latency,
    fit_power,
    split_latency,
)
from visionscaling_ros.profiling.frames import OWN
from visionscaling_ros.profiling.schedule import Candidate
from visionscaling_ros.profiling.summary import JpegFigures, PointFigures, Summary

# An RTX 2080 Ti with YOLOv4 in FP16, 35 to 129 GFLOPs: our fit to the frame rates of tkDNN.
SERVER_FIXED_S = 3.21e-3
SERVER_S_PER_GFLOP = 0.0443e-3


@dataclass(frozen=True)
class FittedPoint:
    """An operating point on its fastest engine.

    :param gflops: as counted, or what the device's mean speed on the others makes of its time.
    :param counted: whether they were counted.
    """

    candidate: Candidate
    fit: LatencyFit
    upload_bits: float
    gflops: float
    counted: bool

    @property
    def server_time_s(self) -> float:
        """Time of a frame on the assumed server."""
        return SERVER_FIXED_S + SERVER_S_PER_GFLOP * self.gflops


def fit_points(summary: Summary) -> tuple[FittedPoint, ...]:
    """Every model and input size that was measured, in the order of the plan."""
    keys = dict.fromkeys((p.candidate.model, p.candidate.input_size_px) for p in summary.points)
    fastest = [c for key in keys if (c := summary.fastest(*key)) is not None]
    upload_bits = upload_bits_by_size(summary.jpegs)
    points = [
        FittedPoint(
            candidate=candidate,
            fit=_fit(summary.of(candidate)),
            upload_bits=upload_bits[candidate.input_size_px],
            gflops=summary.gflops.get((candidate.model, candidate.input_size_px), 0.0),
            counted=(candidate.model, candidate.input_size_px) in summary.gflops,
        )
        for candidate in fastest
    ]
    return _with_guessed_work(points)


def upload_bits_by_size(jpegs: Sequence[JpegFigures]) -> dict[int, float]:
    """Median size of an upload, of the user's own frames where there are some [bit]."""
    in_order = sorted(jpegs, key=lambda jpeg: jpeg.frames == OWN)
    return {jpeg.input_size_px: 8.0 * jpeg.size_bytes.median for jpeg in in_order}


def fit_device_power(summary: Summary) -> PowerFit | None:
    """The power model of all there is, idle or not; None where too little was measured."""
    readings = [(p.frequency_hz, p.power) for p in summary.points] + list(summary.idle.items())
    known = [(f, power) for f, power in readings if power.power_w > 0.0]
    if len({round(power.utilization * (f * 1e-9) ** 3, 6) for f, power in known}) < 2:
        return None
    return fit_power(
        [f for f, _ in known],
        [min(1.0, power.utilization) for _, power in known],
        [power.power_w for _, power in known],
    )


def _fit(levels: Sequence[PointFigures]) -> LatencyFit:
    if len(levels) > 1:
        return fit_latency(
            [level.frequency_hz for level in levels],
            [level.undisturbed.latency_s for level in levels],
            min(level.undisturbed.serial_s for level in levels),
        )
    (level,) = levels
    time = level.undisturbed
    return split_latency(level.frequency_hz, time.network_s, time.serial_s)


def _with_guessed_work(points: Sequence[FittedPoint]) -> tuple[FittedPoint, ...]:
    """GFLOPs of points whose network could not be counted, by the median speed of the others.

    Where nothing was counted they stay 0: the server is then taken to need its fixed time only.
    """
    speeds = [p.gflops / p.fit.gpu_work_ghz_s for p in points
              if p.counted and p.fit.gpu_work_ghz_s > 0.0]  # fmt: skip
    speed = float(np.median(speeds)) if speeds else 0.0
    return tuple(
        p if p.counted else replace(p, gflops=speed * p.fit.gpu_work_ghz_s) for p in points
    )
