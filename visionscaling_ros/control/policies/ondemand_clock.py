"""The clock Linux gives a GPU that is left to itself."""

from __future__ import annotations

import math
from bisect import bisect_left

from visionscaling_ros.datatypes import SlotState

UP_THRESHOLD = 0.90  # busier than this: full clock
_KEEP_THRESHOLD = 0.85  # busier than this: the clock stays; up threshold less downdifferential 5 %
_AIM = 0.88  # else the clock at which it would be this busy
_ROUNDING = 1.0 - 1e-6


class OndemandClock:
    """Governor ``simple_ondemand`` of Linux devfreq, with its default thresholds.

    [V] (Linux, drivers/devfreq/governor_simpleondemand.c): busier than 90 % of the time: full
    clock; than 85 %: unchanged; else clock times load / 88 %, which the driver rounds up to a
    level. Full clock where load or clock is not known. Ours [R]: it looks once a slot, the kernel
    every few tens of milliseconds.
    """

    def __init__(self) -> None:
        self._wanted_hz = math.inf

    def observe(self, state: SlotState) -> None:
        """Take in how busy the GPU was, and at which clock."""
        load, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
        if not (0.0 <= load < math.inf and 0.0 < frequency_hz < math.inf) or load > UP_THRESHOLD:
            self._wanted_hz = math.inf
        elif load > _KEEP_THRESHOLD:
            self._wanted_hz = frequency_hz
        else:
            self._wanted_hz = frequency_hz * load / _AIM

    def level(self, levels_hz: tuple[float, ...]) -> int:
        """Index of the level for the next slot, of levels in ascending order [Hz]."""
        return min(bisect_left(levels_hz, self._wanted_hz * _ROUNDING), len(levels_hz) - 1)
