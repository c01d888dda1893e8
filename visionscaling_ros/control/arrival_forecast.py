"""How many frames will arrive, from how many did."""

from __future__ import annotations

import math

_SUSPECT_DEVIATIONS = 4.0  # mean absolute deviations; about three standard ones
_DEVIATION_SMOOTHING = 0.2
_COUNTING_FRAMES = 1.0  # a slot's border falls before or after a frame


class ArrivalForecast:
    """Exponentially weighted mean that one odd slot does not move far.

    A slot further off than four mean absolute deviations is a freak or a step. The slot after it
    tells: a step is jumped to, a freak counts as four deviations off. Where most such slots so far
    were steps, the next is jumped to at once.
    """

    def __init__(self) -> None:
        self.arrival_fps = math.nan  # what is expected; NaN before the first slot
        self._deviation_fps = 0.0
        self._odd: tuple[float, float] | None = None  # expected before an odd slot, and seen in it
        self._steps = 0
        self._freaks = 1

    def observe(self, arrival_fps: float, slot_s: float, smoothing: float) -> None:
        """Take in the rate of a slot; one that is negative or not finite is passed over.

        :param arrival_fps: frames that arrived [frames/s].
        :param slot_s: length of the slot [s].
        :param smoothing: weight of the newest slot, 0 to 1.
        """
        if not 0.0 <= arrival_fps < math.inf:
            return
        if math.isnan(self.arrival_fps):
            self.arrival_fps = arrival_fps
            return
        if self._odd is not None:
            self._judge(arrival_fps)
        expected_fps = self.arrival_fps
        residual_fps = arrival_fps - expected_fps
        counting_fps = _COUNTING_FRAMES / slot_s if slot_s > 0.0 else _COUNTING_FRAMES
        limit_fps = counting_fps + _SUSPECT_DEVIATIONS * self._deviation_fps
        if not -limit_fps <= residual_fps <= limit_fps:
            self._odd = (expected_fps, arrival_fps)
            if self._steps > self._freaks:
                self.arrival_fps = arrival_fps
                return
            residual_fps = math.copysign(limit_fps, residual_fps)
        self.arrival_fps = expected_fps + smoothing * residual_fps
        self._deviation_fps += _DEVIATION_SMOOTHING * (abs(residual_fps) - self._deviation_fps)

    def _judge(self, arrival_fps: float) -> None:
        """Whether the odd slot before was a step, now that another is seen."""
        assert self._odd is not None
        before_fps, seen_fps = self._odd
        self._odd = None
        if abs(arrival_fps - seen_fps) <= abs(arrival_fps - before_fps):
            self._steps += 1
            self.arrival_fps = seen_fps
        else:
            self._freaks += 1
            self.arrival_fps = before_fps
