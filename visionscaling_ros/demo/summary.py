"""The figures of a run, all of them measured in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import Origin
from visionscaling_ros.demo.run_record import RunRecord
from visionscaling_ros.vision.accuracy import evaluate_map
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES


def summarize(record: RunRecord) -> dict[str, Any]:
    """Figures of one run under the keys of ``report.json``; None where nothing was measured.

    A frame counts from the begin of the run to its end: those in flight at the begin are among
    the arrived, so that arrived = local + edge + dropped + in_flight.
    """
    begin, end = record.begin, record.end
    local = end.processed_local - begin.processed_local
    edge = end.processed_edge - begin.processed_edge
    dropped = end.dropped - begin.dropped
    duration_s = end.uptime_s - begin.uptime_s
    energy_j = end.energy_j - begin.energy_j
    processed = local + edge
    measured_map, map_source = _accuracy(record)
    latencies_s = [frame.latency_s for frame in record.frames]
    return {
        'policy': record.policy,
        'duration_s': round(duration_s, 3),
        'frames': {
            'arrived': processed + dropped + end.in_flight,
            'local': local,
            'edge': edge,
            'dropped': dropped,
            'in_flight': end.in_flight,
        },
        'drop_reasons': {
            reason: count - begin.drop_counts.get(reason, 0)
            for reason, count in end.drop_counts.items()
            if count > begin.drop_counts.get(reason, 0)
        },
        'energy_j': _number(energy_j),
        'energy_j_per_frame': _number(energy_j / processed if processed else math.nan),
        'power_w': _number(energy_j / duration_s if duration_s > 0.0 else math.nan),
        'processed_fps': _number(processed / duration_s if duration_s > 0.0 else math.nan),
        'map': _number(measured_map),
        'map_source': map_source,
        'latency_p95_s': _p95(latencies_s),
        'latency_local_p95_s': _p95(
            [frame.latency_s for frame in record.frames if frame.origin is Origin.LOCAL]
        ),
        'latency_edge_p95_s': _p95(
            [frame.latency_s for frame in record.frames if frame.origin is not Origin.LOCAL]
        ),
        'slots': len(record.slots),
    }


def _accuracy(record: RunRecord) -> tuple[float, str]:
    """Accuracy against ground truth where there is one, else the mean of the accuracy table."""
    labelled = [frame for frame in record.frames if frame.stamp_ns in record.truths]
    if labelled:
        scores = evaluate_map(
            [record.truths[frame.stamp_ns] for frame in labelled],
            [frame.detections for frame in labelled],
            len(CLASS_NAMES),
        )
        return scores.map_50_95, 'measured against ground truth'
    if record.frames:
        mean = float(np.mean([frame.accuracy_map for frame in record.frames]))
        return mean, 'accuracy table (the source has no ground truth)'
    return math.nan, 'nothing was processed'


def _p95(values_s: list[float]) -> float | None:
    return _number(float(np.percentile(values_s, 95))) if values_s else None


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(value, 6) if math.isfinite(value) else None
