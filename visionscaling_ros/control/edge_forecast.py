"""Whether and how much can be offloaded in the next slot."""

from __future__ import annotations

import math

from visionscaling_ros.control.capacity_forecast import CapacityForecast
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotState

_DEAD_SLOTS = 2  # so long a sample that carries next to nothing is believed
_LIKELY = 0.5


class EdgeForecast:
    """Keeps what is known of the uplink, and whether it is still to be believed.

    A sample is believed for ``capacity_stale_s``; one that carries not even the exploratory frames
    for two slots only, as nothing would be sent that could show that it is over. What is not
    believed is explored with a few frames. After an outage the level is learned anew.
    """

    def __init__(self) -> None:
        self._capacity = CapacityForecast()
        self._age_s = math.inf
        self._slot_s = 0.0
        self._outage = False  # since the newest sample
        self.reachable = False

    def observe(self, state: SlotState, stale_s: float) -> None:
        """Take in a slot; a sample that is not finite or negative is none."""
        slot_s = state.duration_s if 0.0 < state.duration_s < math.inf else 0.0
        self._slot_s = slot_s
        self._age_s += slot_s
        self.reachable = state.edge_reachable
        if not state.edge_reachable:
            self._outage = True
            return
        measured_bps, age_s = state.uplink_capacity_bps, state.uplink_capacity_age_s
        if not 0.0 <= measured_bps < math.inf:
            return
        if age_s <= state.duration_s:
            if self._outage or self._age_s > stale_s + slot_s:
                self._capacity.restart()
            self._outage = False
        elif self._outage or self._capacity.known or not age_s <= stale_s:
            return
        self._capacity.observe(measured_bps)
        self._age_s = age_s if age_s > 0.0 else 0.0

    def believed(self, settings: ControlSettings, least_upload_bits: float) -> bool:
        """The capacity is known; else it is to be explored."""
        if self._outage or not self._capacity.known:
            return False
        believed_s = settings.capacity_stale_s
        exploration_bps = settings.exploration_fps * least_upload_bits
        if self._age_s > _DEAD_SLOTS * self._slot_s and self._age_s <= believed_s:
            return self._capacity.quantile_bps(_LIKELY) >= exploration_bps
        return self._age_s <= believed_s

    def quantile_bps(self, quantile: float) -> float:
        """What the uplink exceeds with probability 1 - ``quantile`` [bit/s], where believed."""
        return self._capacity.quantile_bps(quantile)
