"""The configurations a policy may choose from, as plain numbers: nothing to solve, so fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.point_table import usable
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import OperatingPoint


@dataclass(frozen=True)
class Link:
    """What of the edge can be counted on.

    :param capacity_bps: uplink [bit/s].
    :param server_share: 0 to 1.
    :param exploration_fps: frames to offload at least, to learn the capacity [frames/s].
    """

    capacity_bps: float
    server_share: float
    exploration_fps: float


_NO_LINK = Link(0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Choices:
    """The configurations that may be used, and what they cost at every clock level.

    :param points: K configurations; those not allowed or without sensible figures are left out,
        and if none of those allowed is there, all are.
    :param device: clock levels and power model.
    :param levels_hz: J clock levels, ascending [Hz].
    :param local_s: time a local frame of configuration k takes at level j, ``[k][j]`` [s].
    :param server_s: time a frame takes the server; where unknown, the robot at full clock [s].
    :param busy_w: power a busy GPU adds at each level [W].
    :param target_map: accuracy target, lowered to the best there is if none reaches it [mAP].
    :param meeting: the configurations that meet it, most accurate first.
    """

    points: tuple[OperatingPoint, ...]
    device: DeviceModel
    levels_hz: tuple[float, ...]
    local_s: tuple[tuple[float, ...], ...]
    server_s: tuple[float, ...]
    busy_w: tuple[float, ...]
    target_map: float
    meeting: tuple[int, ...]

    @classmethod
    def build(
        cls, offered: tuple[OperatingPoint, ...], device: DeviceModel, settings: ControlSettings
    ) -> Choices:
        """The choices a robot has under its settings."""
        points = tuple(p for p in offered if usable(p))
        allowed = tuple(p for p in points if p.model in settings.allowed_models)
        points = allowed or points
        levels_hz = device.clock_levels_hz
        local_s = tuple(tuple([p.local_latency_s(f_hz) for f_hz in levels_hz]) for p in points)
        best_map = max((p.accuracy_map for p in points), default=0.0)
        target_map = min(settings.accuracy_target_map, best_map)
        meeting = [k for k, p in enumerate(points) if p.accuracy_map >= target_map]
        return cls(
            points=points,
            device=device,
            levels_hz=levels_hz,
            local_s=local_s,
            server_s=tuple(
                p.server_time_s if p.server_time_s > 0.0 else times_s[-1]
                for p, times_s in zip(points, local_s, strict=True)
            ),
            busy_w=tuple(device.gpu_dynamic_power_w(f_hz) for f_hz in levels_hz),
            target_map=target_map,
            meeting=tuple(sorted(meeting, key=lambda k: -points[k].accuracy_map)),
        )

    @property
    def top(self) -> int:
        """Index of the highest clock level."""
        return len(self.levels_hz) - 1

    @property
    def most_accurate(self) -> int | None:
        """The configuration of highest accuracy: the largest model that meets the target."""
        return self.meeting[0] if self.meeting else None

    @property
    def fewest_bits(self) -> int | None:
        """The configuration that meets the target with the smallest upload; None: no such."""
        sent = [k for k in self.meeting if self.points[k].upload_bits > 0.0]
        return min(sent, key=lambda k: self.points[k].upload_bits, default=None)

    def edge_limit_fps(self, k: int, link: Link) -> float:
        """Frames/s of configuration k that uplink and server carry; 0 if it cannot be sent."""
        bits = self.points[k].upload_bits
        if bits <= 0.0:
            return 0.0
        return min(link.capacity_bps / bits, link.server_share / self.server_s[k])

    def link(self, forecast: Forecast, settings: ControlSettings) -> Link:
        """What the edge will probably carry.

        The median of the capacity, not the cautious quantile of the settings: the methods as
        published take the capacity as known.
        """
        share, capacity_bps = forecast.server_share, forecast.capacity_bps
        if not (forecast.edge_reachable and settings.allow_edge):
            return _NO_LINK
        capacity_bps = max(capacity_bps, forecast.median_capacity_bps)
        if math.isnan(capacity_bps):  # unknown: one frame a second finds out
            capacity_bps = max((p.upload_bits for p in self.points), default=0.0)
        share = 1.0 if math.isnan(share) else min(max(share, 0.0), 1.0)
        explored_fps = forecast.exploration_fps
        return Link(
            max(capacity_bps, 0.0), share, explored_fps if 0.0 < explored_fps < math.inf else 0.0
        )


class ChoiceCache:
    """The last choices: forecasts hand in the same objects while nothing changes."""

    def __init__(self) -> None:
        self._made_of: tuple[object, object, object] = (None, None, None)
        self._choices: Choices | None = None

    def get(self, forecast: Forecast, settings: ControlSettings) -> Choices:
        """The choices in the slot forecast."""
        points, device, limits = self._made_of
        choices = self._choices
        if (
            choices is None
            or points is not forecast.operating_points
            or device is not forecast.device
            or limits is not settings
        ):
            self._made_of = (forecast.operating_points, forecast.device, settings)
            choices = Choices.build(forecast.operating_points, forecast.device, settings)
            self._choices = choices
        return choices


def arrivals_fps(forecast: Forecast) -> float:
    """Frames that will arrive, 0 if that is not a sensible number [frames/s]."""
    return forecast.arrival_fps if 0.0 < forecast.arrival_fps < math.inf else 0.0
