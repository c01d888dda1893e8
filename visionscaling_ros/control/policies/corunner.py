"""How much of the GPU other programs take."""

from __future__ import annotations

import math

from visionscaling_ros.datatypes import OperatingPoint, Origin, SlotState


class CoRunner:
    """Share of the busy time that the frames processed do not explain, by the measured profile.

    :ivar use: 0 (alone) to 1; unchanged by slots that tell nothing.
    """

    def __init__(self) -> None:
        self.use = 0.0
        self._points: tuple[OperatingPoint, ...] = ()
        self._index: dict[tuple[str, int], OperatingPoint] = {}

    def observe(self, state: SlotState) -> None:
        """Take in a measured slot."""
        if state.operating_points is not self._points:
            self._points = state.operating_points
            self._index = {(p.model, p.input_size_px): p for p in self._points}
        busy, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
        if not (0.0 < busy < math.inf and 0.0 < frequency_hz < math.inf):
            return
        explained = 0.0
        for ran in state.processed:
            point = self._index.get((ran.model, ran.input_size_px))
            if ran.origin is Origin.LOCAL and point is not None:
                explained += ran.rate_fps * point.local_latency_s(frequency_hz)
        if 0.0 < explained < math.inf:
            self.use = min(max(1.0 - explained / busy, 0.0), 1.0)
