"""First measurement of what a configuration costs, before any frame has run in it."""

from __future__ import annotations

import statistics
import time

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ, ImageArray, OperatingPoint
from visionscaling_ros.pipeline.detector_port import DetectorPort
from visionscaling_ros.pipeline.upload_worker import Encode

REPEATS = 3  # after one run that warms up


def measure_point(
    model: str,
    detector: DetectorPort,
    input_size_px: int,
    *,
    image_bgr: ImageArray,
    accuracy_map: float,
    encode: Encode,
) -> OperatingPoint:
    """Run one configuration a few times on ``image_bgr`` (H, W, 3); medians.

    The GPU work is counted at NOMINAL_FREQUENCY_HZ; ``CostTable.rescale_work`` corrects it once
    the clock is known.
    """
    gpu_s: list[float] = []
    serial_s: list[float] = []
    for _ in range(1 + REPEATS):
        started_s = time.perf_counter()
        prepared = detector.preprocess(image_bgr, input_size_px)
        prepared_s = time.perf_counter()
        raw = detector.forward(prepared)
        inferred_s = time.perf_counter()
        detector.postprocess(raw, prepared)
        gpu_s.append(inferred_s - prepared_s)
        serial_s.append(time.perf_counter() - started_s - gpu_s[-1])
    return OperatingPoint(
        model=model,
        input_size_px=input_size_px,
        accuracy_map=accuracy_map,
        gpu_work_ghz_s=statistics.median(gpu_s[1:]) * NOMINAL_FREQUENCY_HZ * 1e-9,
        serial_s=statistics.median(serial_s[1:]),
        upload_bits=8.0 * len(encode(image_bgr, model, input_size_px).data),
    )
