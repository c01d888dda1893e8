"""What a slot turned out to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.datatypes import SlotState


@dataclass(frozen=True)
class Revealed:
    """What a slot turned out to be.

    :param arrival_fps: frames that arrived [frames/s].
    :param capacity_bps: what the uplink carried, or would have [bit/s].
    :param server_share: share of the server, 0 to 1.
    """

    arrival_fps: float
    capacity_bps: float
    server_share: float

    @classmethod
    def of(cls, state: SlotState, expected: Revealed) -> Revealed:
        """As measured; as expected where nothing was measured, as when nothing was sent."""
        if not state.edge_reachable:
            capacity_bps = 0.0
        elif (
            state.uplink_capacity_age_s <= state.duration_s
            and math.isfinite(state.uplink_capacity_bps)
            and state.uplink_capacity_bps >= 0.0
        ):
            capacity_bps = state.uplink_capacity_bps
        else:
            capacity_bps = expected.capacity_bps
        known = math.isfinite(state.server_share)
        share = min(max(state.server_share, 0.0), 1.0) if known else expected.server_share
        return cls(state.arrival_fps, capacity_bps, share)
