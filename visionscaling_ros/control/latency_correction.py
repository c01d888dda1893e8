"""Corrects each configuration's local latency by how busy the robot was."""

from __future__ import annotations

import math
from dataclasses import replace

from visionscaling_ros.control.outlier_gate import OutlierGate
from visionscaling_ros.datatypes import OperatingPoint, Origin, SlotState

# Standard deviations of logarithms.
_PRIOR_COMMON = 0.2
_PRIOR_BIAS = 0.1
_COMMON_DRIFT = 0.02  # a slot
_NOISE = 0.02
_BORDER_FRAMES = 0.3  # of a frame falls on the wrong side of a slot's border
_SUSPECT = 3.0  # standard deviations
_LEAST_BUSY = 0.005  # a robot busy for less of the slot tells nothing
_LARGEST_LOG = math.log(4.0)
_TOLERANCE = 0.01  # corrections smaller than this are not worth new operating points


class _Learned:
    """What is known of one configuration."""

    __slots__ = ('built', 'log_bias', 'point', 'variance')

    def __init__(self, point: OperatingPoint) -> None:
        self.point = point
        self.log_bias = 0.0
        self.variance = _PRIOR_BIAS**2
        self.built = 0.0  # logarithm of the factor last applied


class LatencyCorrection:
    """One factor common to all configurations and one for each, by a Kalman filter.

    The robot is busy for ``sum rate_k t_k(f)`` of a slot, where ``t_k`` is the latency of the
    profile times the common factor (another load on the GPU, heat, a profile of another unit)
    times the configuration's own (what the profile got wrong). The logarithm of measured over
    expected is spread over them by how uncertain each is and what share of the time it explains:
    the common one drifts, the others stand. Covariances are left out; what is wrong in the split
    shows, and is mended, once another configuration runs.
    """

    def __init__(self) -> None:
        self._points: tuple[OperatingPoint, ...] = ()
        self._learned: dict[tuple[str, int], _Learned] = {}
        self._log_common = 0.0
        self._built_common = 0.0
        self.outdated = True  # a factor moved by more than 1 % since the last ``correct``
        self._variance = _PRIOR_COMMON**2
        self._gate = OutlierGate()

    @property
    def common_factor(self) -> float:
        """Latency measured over latency of the profile, common to all configurations."""
        return math.exp(self._log_common)

    def use_points(self, points: tuple[OperatingPoint, ...]) -> None:
        """The profile to correct; what was learned of a configuration stays with it."""
        if points is self._points:
            return
        before, self._points, self._learned = self._learned, points, {}
        for point in points:
            key = (point.model, point.input_size_px)
            learned = before.get(key) or _Learned(point)
            learned.point = point
            self._learned[key] = learned
        self.outdated = True

    def observe(self, state: SlotState) -> None:
        """Take in a slot; nothing is learned from one that is incomplete."""
        busy, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
        if not (
            _LEAST_BUSY < busy < math.inf
            and 0.0 < frequency_hz < math.inf
            and 0.0 < state.duration_s < math.inf
        ):
            return
        common = math.exp(self._log_common)
        f_ghz = frequency_hz * 1e-9
        expected = frames_fps = 0.0
        parts: list[tuple[_Learned, float]] = []
        for ran in state.processed:
            if ran.origin is not Origin.LOCAL:
                continue
            learned = self._learned.get((ran.model, ran.input_size_px))
            if learned is None:
                return
            point, rate_fps = learned.point, ran.rate_fps
            part = common * math.exp(learned.log_bias) * rate_fps
            part *= point.gpu_work_ghz_s / f_ghz + point.serial_s
            if not 0.0 <= part < math.inf:
                return
            if part > 0.0:
                parts.append((learned, part))
                expected += part
                frames_fps += rate_fps
        if expected <= _LEAST_BUSY:
            return
        residual = math.log(busy / expected)
        if busy >= 1.0 and residual < 0.0:
            return  # a share of 1 may be one cut off
        border = _BORDER_FRAMES / (1.0 + frames_fps * state.duration_s)
        self._update(residual, expected, parts, _NOISE**2 + border * border)

    def correct(self) -> tuple[OperatingPoint, ...]:
        """The profile with its latencies as they turned out."""
        self._built_common = self._log_common
        self.outdated = False
        return tuple(self._corrected(point) for point in self._points)

    def _corrected(self, point: OperatingPoint) -> OperatingPoint:
        learned = self._learned[point.model, point.input_size_px]
        learned.built = self._log_common + learned.log_bias
        if learned.built == 0.0:
            return point
        factor = math.exp(learned.built)
        return replace(
            point,
            gpu_work_ghz_s=factor * point.gpu_work_ghz_s,
            serial_s=factor * point.serial_s,
        )

    def _update(
        self, residual: float, expected: float, parts: list[tuple[_Learned, float]], noise: float
    ) -> None:
        """Kalman step on logarithms."""
        self._variance = min(self._variance + _COMMON_DRIFT**2, _PRIOR_COMMON**2)
        total = self._variance + noise
        for learned, part in parts:
            total += (part / expected) ** 2 * learned.variance
        limit = _SUSPECT * math.sqrt(total)
        admitted = self._gate.admit(residual, limit)
        if not -limit <= admitted <= limit:  # a step, so of what is common
            self._variance += admitted * admitted
            total += admitted * admitted
        gain = self._variance / total
        self._log_common = _bounded(self._log_common + gain * admitted)
        self._variance *= 1.0 - gain
        for learned, part in parts:
            share = part / expected
            gain = share * learned.variance / total
            learned.log_bias = _bounded(learned.log_bias + gain * admitted)
            learned.variance *= 1.0 - gain * share
            if abs(self._log_common + learned.log_bias - learned.built) > _TOLERANCE:
                self.outdated = True
        if abs(self._log_common - self._built_common) > _TOLERANCE:
            self.outdated = True


def _bounded(logarithm: float) -> float:
    return min(max(logarithm, -_LARGEST_LOG), _LARGEST_LOG)
