"""Corrects each configuration's local latency by how busy the robot was."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from visionscaling_ros.control.outlier_gate import OutlierGate
from visionscaling_ros.datatypes import OperatingPoint, Origin, SlotState

# Standard deviations of logarithms.
_PRIOR_COMMON = 0.15
_PRIOR_OWN = 0.1
_COMMON_DRIFT = 0.005  # a slot
_NOISE = 0.02
_ONE_FRAME = 0.6  # of a single frame: its time varies, and a slot's border may cut it
_SUSPECT = 3.0  # standard deviations
_EXPLAINED = 0.004  # a slot expected this well teaches nothing
_LEAST_BUSY = 0.005  # a robot busy for less of the slot tells nothing
_LARGEST = math.log(4.0)
_TOLERANCE = 0.01  # corrections smaller than this are not worth new operating points


class LatencyCorrection:
    """One factor common to all configurations and one for each, by a Kalman filter.

    The robot is busy for ``sum rate_k t_k(f)`` of a slot, where ``t_k`` is the latency of the
    profile times the common factor (another load on the GPU, heat, a profile of another unit)
    times the configuration's own (what the profile got wrong). The filter's state is the
    logarithms of the factors, the common one first; the common one drifts, the others stand; its
    measurement is the logarithm of measured over expected busy share, linear in them with the
    parts of the busy time as weights.

    :ivar outdated: a factor moved by more than 1 % since the last ``correct``.
    """

    def __init__(self) -> None:
        self._points: tuple[OperatingPoint, ...] = ()
        self._profile: list[OperatingPoint] = []  # each configuration once
        self._index: dict[tuple[str, int], int] = {}  # in the filter's state
        self._logs = np.zeros(1)
        self._covariance = np.diag([_PRIOR_COMMON**2])
        self._factors: list[float] = [1.0]  # of each configuration, by place in the state
        self._built = np.zeros(1)  # logarithms last applied
        self._drifted_slots = 0
        self._gate = OutlierGate()
        self.outdated = True

    @property
    def common_factor(self) -> float:
        """Latency measured over latency of the profile, common to all configurations."""
        return math.exp(self._logs[0])

    def use_points(self, points: tuple[OperatingPoint, ...]) -> None:
        """The profile to correct; what was learned of a configuration stays with it."""
        profile = {(p.model, p.input_size_px): p for p in points}
        index = {key: i for i, key in enumerate(profile, 1)}
        kept = [key for key in index if key in self._index]
        new, old = ([0, *(where[key] for key in kept)] for where in (index, self._index))
        logs = np.zeros(1 + len(index))
        covariance = np.diag([_PRIOR_COMMON**2, *[_PRIOR_OWN**2] * len(index)])
        logs[new] = self._logs[old]
        covariance[np.ix_(new, new)] = self._covariance[np.ix_(old, old)]
        self._points, self._profile, self._index = points, [*profile.values()], index
        self._logs, self._covariance = logs, covariance
        self._built = logs.copy()
        self._take_factors()
        self.outdated = True

    def observe(self, state: SlotState) -> None:
        """Take in a slot; nothing is learned from one that is incomplete."""
        busy, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
        if not (
            _LEAST_BUSY < busy <= 1.0
            and 0.0 < frequency_hz < math.inf
            and 0.0 < state.duration_s < math.inf
        ):
            return
        f_ghz = frequency_hz * 1e-9
        expected = frames_fps = 0.0
        parts: list[tuple[int, float]] = []
        for ran in state.processed:
            if ran.origin is not Origin.LOCAL:
                continue
            i = self._index.get((ran.model, ran.input_size_px))
            if i is None:
                return
            point, rate_fps = self._profile[i - 1], ran.rate_fps
            part = point.gpu_work_ghz_s / f_ghz + point.serial_s
            part *= self._factors[i] * rate_fps
            if not 0.0 <= part < math.inf:
                return
            parts.append((i, part))
            expected += part
            frames_fps += rate_fps
        self._drifted_slots += 1
        if not _LEAST_BUSY < expected < math.inf:
            return
        residual = math.log(busy / expected)
        cut_off = busy >= 1.0 and residual < 0.0  # a share of 1 may be one cut off
        if -_EXPLAINED < residual < _EXPLAINED:
            self._drifted_slots = 0
            return
        if cut_off:
            return
        frames = 1.0 + frames_fps * state.duration_s
        shares = [(i, part / expected) for i, part in parts]
        self._update(residual, shares, _NOISE * _NOISE + _ONE_FRAME * _ONE_FRAME / frames)

    def correct(self) -> tuple[OperatingPoint, ...]:
        """The profile with its latencies as they turned out."""
        self.outdated = False
        self._built = self._logs.copy()
        return tuple(self._corrected(point) for point in self._points)

    def _corrected(self, point: OperatingPoint) -> OperatingPoint:
        factor = self._factors[self._index[point.model, point.input_size_px]]
        if factor == 1.0:
            return point
        return replace(
            point,
            gpu_work_ghz_s=factor * point.gpu_work_ghz_s,
            serial_s=factor * point.serial_s,
        )

    def _update(self, residual: float, shares: list[tuple[int, float]], noise: float) -> None:
        """Kalman step; ``shares`` of the busy time by place in the state."""
        covariance = self._covariance
        drift = self._drifted_slots * _COMMON_DRIFT**2
        covariance[0, 0] = max(covariance[0, 0], min(covariance[0, 0] + drift, _PRIOR_COMMON**2))
        self._drifted_slots = 0
        weights = np.zeros(len(self._logs))
        weights[0] = 1.0
        for i, share in shares:
            weights[i] += share
        toward = covariance @ weights
        variance = float(weights @ toward) + noise
        limit = _SUSPECT * math.sqrt(variance)
        admitted = self._gate.admit(residual, limit)
        if not -limit <= admitted <= limit:  # a step, so of what is common
            step = admitted * admitted
            covariance[0, 0] += step
            toward[0] += step
            variance += step
        self._logs += toward * (admitted / variance)
        np.clip(self._logs, -_LARGEST, _LARGEST, out=self._logs)
        covariance -= np.outer(toward, toward / variance)
        self._take_factors()

    def _take_factors(self) -> None:
        logs = self._logs[0] + self._logs
        self._factors = np.exp(logs).tolist()
        moved = np.abs(logs - self._built[0] - self._built)[1:]
        self.outdated |= bool(np.any(moved > _TOLERANCE))
