"""When to send frames only to learn what the uplink carries."""

from __future__ import annotations

import math

from visionscaling_ros.control.forecast import Forecast

_LEAST_S = 10.0  # between probes where the radio leaves no tail
_TAILS = 3.0  # between probes at first
_LONGEST_FACTOR = 8.0


class Probe:
    """Probes an unknown uplink, less and less often while that leads to nothing.

    A probe costs a tail of the radio. While the radio is in use a probe is due whenever the
    forecast asks for it; while it is off on purpose, after three tails, then six, and so on.
    """

    def __init__(self) -> None:
        self._since_s = math.inf
        self._factor = 1.0

    def due(self, forecast: Forecast, radio_on: bool) -> bool:
        """Whether to probe in this slot; called once for every slot."""
        self._since_s += forecast.slot_s
        if radio_on:
            self._factor = 1.0
        if forecast.exploration_fps <= 0.0 or not forecast.edge_reachable:
            return False
        pause_s = self._factor * max(_TAILS * forecast.device.radio_tail_s, _LEAST_S)
        if not radio_on and self._since_s < pause_s:
            return False
        if not radio_on:
            self._factor = min(2.0 * self._factor, _LONGEST_FACTOR)
        self._since_s = 0.0
        return True
