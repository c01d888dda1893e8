"""How many frames will arrive, from how many did."""

from __future__ import annotations

import math

from visionscaling_ros.control.outlier_gate import OutlierGate

_SUSPECT_DEVIATIONS = 4.0  # mean absolute deviations; about three standard ones
_DEVIATION_SMOOTHING = 0.2
_COUNTING_FRAMES = 1.0  # a slot's border falls before or after a frame


class ArrivalForecast:
    """Exponentially weighted mean that one odd slot does not move far.

    A slot further off than four mean absolute deviations counts as that far off; two in a row to
    the same side are a step, which the mean then jumps to.
    """

    def __init__(self) -> None:
        self.arrival_fps = math.nan  # what is expected; NaN before the first slot
        self._deviation_fps = 0.0
        self._gate = OutlierGate()

    def observe(self, arrival_fps: float, slot_s: float, smoothing: float) -> None:
        """Take in the rate of a slot; one that is negative or not finite is passed over.

        :param arrival_fps: frames that arrived [frames/s].
        :param slot_s: length of the slot [s].
        :param smoothing: weight of the newest slot, 0 to 1.
        """
        if not 0.0 <= arrival_fps < math.inf:
            return
        expected_fps = self.arrival_fps
        if math.isnan(expected_fps):
            self.arrival_fps = arrival_fps
            return
        counting_fps = _COUNTING_FRAMES / slot_s if slot_s > 0.0 else _COUNTING_FRAMES
        limit_fps = counting_fps + _SUSPECT_DEVIATIONS * self._deviation_fps
        residual_fps = arrival_fps - expected_fps
        admitted_fps = self._gate.admit(residual_fps, limit_fps)
        if not -limit_fps <= admitted_fps <= limit_fps:  # a step
            self.arrival_fps = arrival_fps
            return
        self.arrival_fps = expected_fps + smoothing * admitted_fps
        self._deviation_fps += _DEVIATION_SMOOTHING * (abs(admitted_fps) - self._deviation_fps)
