"""Which of the frames that arrive a decision runs where."""

from __future__ import annotations

import math
from collections.abc import Mapping

from visionscaling_ros.datatypes import Origin, SlotDecision

Rates = list[tuple[int, float]]  # configuration, frames/s


def assigned(
    decision: SlotDecision, index: Mapping[tuple[str, int], int], arrival_fps: float
) -> tuple[Rates, Rates]:
    """Rates to run locally and to offload, out of ``arrival_fps`` [frames/s].

    Allocations are shares of the frames the decision expected, as the dispatcher deals them out.
    Rates that make no sense do not count; configurations that are not in ``index`` and split ones
    have their share, but nobody runs it.
    """
    local: Rates = []
    edge: Rates = []
    asked_fps = 0.0
    for allocation in decision.allocations:
        rate = allocation.rate_fps
        if not 0.0 < rate < math.inf:  # so is NaN
            continue
        asked_fps += rate
        k = index.get((allocation.model, allocation.input_size_px))
        if k is None:
            continue
        if allocation.origin is Origin.LOCAL:
            local.append((k, rate))
        elif allocation.origin is Origin.EDGE:
            edge.append((k, rate))
    expected_fps = decision.arrival_fps
    if not asked_fps < expected_fps < math.inf:
        expected_fps = asked_fps
    if expected_fps <= 0.0:
        return [], []
    scale = arrival_fps / expected_fps
    if scale == math.inf:  # rates so small that they are none
        return [], []
    return (
        [(k, rate * scale) for k, rate in local if rate * scale > 0.0],
        [(k, rate * scale) for k, rate in edge if rate * scale > 0.0],
    )
