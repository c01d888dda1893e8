"""The configurations to choose from and what they cost, corrected."""

from __future__ import annotations

import math

from visionscaling_ros.control.latency_correction import LatencyCorrection
from visionscaling_ros.datatypes import OperatingPoint, SlotState

_TOLERANCE = 0.01  # costs that moved by less are taken as the same
_COSTS = ('gpu_work_ghz_s', 'serial_s', 'upload_bits', 'server_time_s')


class PointForecast:
    """Operating points as measured by the robot, corrected by how busy it was, those allowed.

    ``corrected`` returns the same tuple while nothing moved by more than 1 %, also where the robot
    measures its costs itself and reports new ones every slot.
    """

    def __init__(self) -> None:
        self._latency = LatencyCorrection()
        self._reported: tuple[OperatingPoint, ...] = ()
        self._profile: tuple[OperatingPoint, ...] = ()
        self._allowed: tuple[str, ...] = ()
        self._corrected: tuple[OperatingPoint, ...] = ()
        self.least_upload_bits = 0.0
        self.largest_upload_bits = 0.0

    @property
    def latency_factor(self) -> float:
        """Local latency over that of the profile, common to all configurations."""
        return self._latency.common_factor

    def observe(self, state: SlotState) -> None:
        """Take in a slot and the operating points it reports."""
        points = state.operating_points
        if points is not self._reported:
            self._reported = points
            if not _same(points, self._profile):
                self._profile = points
                self._latency.use_points(points)
        self._latency.observe(state)

    def corrected(self, allowed_models: tuple[str, ...]) -> tuple[OperatingPoint, ...]:
        """The points of the models allowed, all if none is left; empty ``allowed_models``: all."""
        if not self._latency.outdated and allowed_models == self._allowed:
            return self._corrected
        self._allowed = allowed_models
        points = self._latency.correct()
        points = tuple(p for p in points if p.model in allowed_models) or points
        uploads = [p.upload_bits for p in points if 0.0 < p.upload_bits < math.inf]
        self.least_upload_bits = min(uploads, default=0.0)
        self.largest_upload_bits = max(uploads, default=0.0)
        self._corrected = points
        return points


def _same(points: tuple[OperatingPoint, ...], others: tuple[OperatingPoint, ...]) -> bool:
    return len(points) == len(others) and all(
        (p.model, p.input_size_px, p.accuracy_map) == (o.model, o.input_size_px, o.accuracy_map)
        and all(
            math.isclose(getattr(p, cost), getattr(o, cost), rel_tol=_TOLERANCE)
            for cost in _COSTS
        )
        for p, o in zip(points, others, strict=True)
    )
