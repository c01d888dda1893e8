"""What the next slot will probably be like, from the slots measured so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import OperatingPoint, SlotState

CAPACITY_QUANTILES = (0.1, 0.25, 0.5)
IDLE_ARRIVAL_FPS = 1.0  # expected while nothing arrives, so that the first frame is processed


@dataclass(frozen=True)
class Forecast:
    """The slot a policy decides for.

    :param slot: running number of the slot.
    :param slot_s: its length [s].
    :param arrival_fps: frames that will arrive [frames/s].
    :param capacity_bps: what the uplink will carry [bit/s]; NaN: unknown.
    :param server_share: share of the edge server this robot can count on, 0 to 1; NaN: unknown.
    :param edge_reachable: the edge server answers.
    :param operating_points: configurations and their costs as measured so far.
    :param device: clock levels and power model.
    :param exploration_fps: frames to offload at least, to learn the capacity [frames/s].
    :param capacity_quantiles_bps: what the uplink will carry at the quantiles
        ``CAPACITY_QUANTILES``, ascending [bit/s]; empty: only ``capacity_bps`` is known.
    """

    slot: int
    slot_s: float
    arrival_fps: float
    capacity_bps: float
    server_share: float
    edge_reachable: bool
    operating_points: tuple[OperatingPoint, ...]
    device: DeviceModel
    exploration_fps: float = 0.0
    capacity_quantiles_bps: tuple[float, ...] = ()


class Forecaster:
    """Learns from measured slots what the next will be like.

    Arrivals: exponentially weighted mean. Capacity: the last estimate times a safety factor while
    it is fresh; once it is old, or while none was ever taken, just enough for a few exploratory
    frames, so that a new sample is taken. Edge unreachable: nothing can be offloaded, and what was
    known of the capacity is not believed after it.
    """

    def __init__(self, settings: ControlSettings, slot_s: float = 1.0) -> None:
        self.settings = settings
        self.slot_s = slot_s
        self._state: SlotState | None = None
        self._arrival_fps = math.nan
        self._outage = False  # since the newest capacity sample

    def observe(self, state: SlotState) -> None:
        """Take in a measured slot; figures that are not finite are passed over."""
        self._state = state
        if not state.edge_reachable:
            self._outage = True
        elif state.uplink_capacity_age_s <= state.duration_s:
            self._outage = False
        if math.isfinite(state.arrival_fps) and state.arrival_fps >= 0.0:
            weight = self.settings.arrival_smoothing
            known = self._arrival_fps if math.isfinite(self._arrival_fps) else state.arrival_fps
            self._arrival_fps = known + weight * (state.arrival_fps - known)

    def forecast(self, slot: int, device: DeviceModel) -> Forecast:
        """What slot number ``slot`` will probably be like on ``device``."""
        state = self._state or SlotState(slot=slot, duration_s=self.slot_s)
        arrival_fps = self._arrival_fps if math.isfinite(self._arrival_fps) else 0.0
        share = state.server_share
        capacity_bps, exploration_fps = self._capacity(state)
        return Forecast(
            slot=slot,
            slot_s=self.slot_s,
            arrival_fps=max(arrival_fps, IDLE_ARRIVAL_FPS),
            capacity_bps=capacity_bps,
            server_share=min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0,
            edge_reachable=state.edge_reachable,
            operating_points=state.operating_points,
            device=device,
            exploration_fps=exploration_fps,
        )

    def _capacity(self, state: SlotState) -> tuple[float, float]:
        """Capacity to count on [bit/s] and frames to explore with [frames/s]."""
        if not state.edge_reachable:
            return 0.0, 0.0
        measured = state.uplink_capacity_bps
        fresh = (
            not self._outage and state.uplink_capacity_age_s <= self.settings.capacity_stale_s
        )
        if math.isfinite(measured) and measured >= 0.0 and fresh:
            return measured, 0.0
        uploads = [p.upload_bits for p in state.operating_points if p.upload_bits > 0.0]
        exploration_fps = self.settings.exploration_fps
        return exploration_fps * max(uploads, default=0.0), exploration_fps
