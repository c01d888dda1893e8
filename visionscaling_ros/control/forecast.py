"""What the next slot will probably be like, from the slots measured so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.control.arrival_forecast import ArrivalForecast
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.device_forecast import DeviceForecast
from visionscaling_ros.control.edge_forecast import EdgeForecast
from visionscaling_ros.control.point_forecast import PointForecast
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Beliefs, OperatingPoint, SlotDecision, SlotState

CAPACITY_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_MAP_ROUNDING = 1e-6  # accuracies come in single precision
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

    @property
    def median_capacity_bps(self) -> float:
        """What the uplink carries as likely as not; ``capacity_bps`` where only that is known."""
        quantiles_bps = self.capacity_quantiles_bps
        return quantiles_bps[len(quantiles_bps) // 2] if quantiles_bps else self.capacity_bps


class Forecaster:
    """Learns from measured slots what the next will be like.

    Arrivals, uplink capacity, latencies, power and the clock that can be had are each learned by
    a class of their own; here they meet, with the limits that settings set. ``operating_points``
    and ``device`` of the forecasts stay the same objects while nothing moved by more than 1 %, so
    that policies may keep what they derive from them.
    """

    def __init__(self, settings: ControlSettings, slot_s: float = 1.0) -> None:
        self.settings = settings
        self.slot_s = slot_s
        self._arrivals = ArrivalForecast()
        self._edge = EdgeForecast()
        self._points = PointForecast()
        self._device = DeviceForecast()
        self._server_share = 1.0
        self._last: Forecast | None = None

    def observe(self, state: SlotState, decision: SlotDecision | None = None) -> None:
        """Take in a measured slot; figures that are not finite are passed over.

        :param decision: what was to run in it, to see whether the device followed.
        """
        settings = self.settings
        self._arrivals.observe(state.arrival_fps, state.duration_s, settings.arrival_smoothing)
        self._edge.observe(state, settings.capacity_stale_s)
        self._points.observe(state)
        decided_hz = decision.gpu_frequency_hz if decision is not None else 0.0
        self._device.observe(state, decided_hz, settings.temperature_limit_c)
        if -math.inf < state.server_share < math.inf:
            self._server_share = min(max(state.server_share, 0.0), 1.0)

    def forecast(self, slot: int, device: DeviceModel) -> Forecast:
        """What slot number ``slot`` will probably be like on ``device``."""
        settings, edge, points = self.settings, self._edge, self._points
        operating_points = points.corrected(settings.allowed_models)
        arrival_fps = self._arrivals.arrival_fps
        reachable = edge.reachable and settings.allow_edge
        capacity_bps = exploration_fps = 0.0
        quantiles_bps: tuple[float, ...] = ()
        if reachable and edge.believed(settings, points.least_upload_bits):
            quantiles_bps = tuple([edge.quantile_bps(q) for q in CAPACITY_QUANTILES])
            capacity_bps = edge.quantile_bps(settings.capacity_quantile)
        elif reachable:
            exploration_fps = settings.exploration_fps
            capacity_bps = exploration_fps * points.largest_upload_bits
        self._last = Forecast(
            slot,
            self.slot_s,
            arrival_fps if arrival_fps > IDLE_ARRIVAL_FPS else IDLE_ARRIVAL_FPS,
            capacity_bps,
            self._server_share,
            reachable,
            operating_points,
            self._device.corrected(device),
            exploration_fps,
            quantiles_bps,
        )
        return self._last

    def beliefs(self) -> Beliefs:
        """What the last forecast rests on."""
        forecast = self._last
        if forecast is None:
            return Beliefs()
        points = forecast.operating_points
        best_map = max((p.accuracy_map for p in points), default=math.nan)
        return Beliefs(
            arrival_fps=forecast.arrival_fps,
            capacity_bps=forecast.capacity_bps,
            capacity_quantiles_bps=forecast.capacity_quantiles_bps,
            edge_usable=forecast.edge_reachable,
            latency_factor=self._points.latency_factor,
            power_factor=self._device.power_factor,
            power_offset_w=self._device.power_offset_w,
            clock_cap_hz=forecast.device.clock_levels_hz[-1],
            target_feasible=best_map >= self.settings.accuracy_target_map - _MAP_ROUNDING,
            operating_points=points,
        )
