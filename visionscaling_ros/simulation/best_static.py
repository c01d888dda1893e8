"""The best operating point in hindsight, held for a whole run."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import Choices, arrivals_fps
from visionscaling_ros.control.policies.rates import decide_rates
from visionscaling_ros.control.rate_utility import HALF_RATE_FPS, rate_utility_scale
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState
from visionscaling_ros.simulation.conditions import Conditions, Series
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.world import REACHABLE_BPS

EDGE_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

Indices = npt.NDArray[np.intp]


class StaticPolicy:
    """One configuration, clock and share of offloaded frames, for ever.

    :param configuration: index in ``choices.points``.
    :param level: index of the clock level.
    :param edge_share: of the arriving frames, 0 to 1; what the edge gives back runs locally.
    """

    name = 'best_static'

    def __init__(
        self,
        settings: ControlSettings,
        choices: Choices,
        *,
        configuration: int,
        level: int,
        edge_share: float,
    ) -> None:
        self.settings = settings
        self.configuration = configuration
        self.level = level
        self.edge_share = edge_share
        self._choices = choices

    def decide(self, forecast: Forecast) -> SlotDecision:
        """The operating point, for the arrivals forecast, at the uplink's own pace."""
        arrival_fps, share = arrivals_fps(forecast), self.edge_share
        settings, choices, k = self.settings, self._choices, self.configuration
        rates = (
            (k, Origin.LOCAL, arrival_fps * (1.0 - share)),
            (k, Origin.EDGE, arrival_fps * share),
        )
        link = choices.link(forecast, settings)
        return decide_rates(
            choices, forecast, settings, self.name, rates, level=self.level, link=link, paced=False
        )

    def observe(self, state: SlotState) -> None:
        """Nothing is learned."""


def best_static(
    conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
) -> StaticPolicy:
    """The operating point of least mean cost among those that meet the accuracy target.

    Over all configurations, clock levels and ``EDGE_SHARES``; a target nobody reaches is lowered
    to the best accuracy there is.
    """
    choices = Choices.build(profile.points, profile.device, settings)
    candidates = [
        (k, level, share)
        for k in choices.meeting
        for level in range(len(choices.levels_hz))
        for share in (EDGE_SHARES if settings.allow_edge else EDGE_SHARES[:1])
    ]
    cost = np.zeros(len(candidates))
    for of_slot in _costs(candidates, choices, conditions, profile, settings):
        cost += of_slot
    k, level, share = candidates[int(np.argmin(cost))]
    return StaticPolicy(settings, choices, configuration=k, level=level, edge_share=share)


def _costs(
    candidates: list[tuple[int, int, float]],
    choices: Choices,
    conditions: Conditions,
    profile: DeviceProfile,
    settings: ControlSettings,
) -> Iterator[Series]:
    """Cost of every candidate, slot by slot, shape (N,): the world's physics, side by side."""
    device, thermal, slot_s = profile.device, profile.thermal, conditions.slot_s
    configuration, wanted_level, share = map(np.array, zip(*candidates, strict=True))
    points = [choices.points[k] for k in configuration]
    offered = {(p.model, p.input_size_px): i for i, p in enumerate(profile.points)}
    own = [offered[p.model, p.input_size_px] for p in points]
    frame_s = np.array(choices.local_s)[configuration]
    frame_s = frame_s * conditions.point_latency_bias[own][:, None]
    bits = share * np.array([p.upload_bits for p in points])
    server_s = share * np.array([p.server_time_s for p in points])
    busy_w = np.array(choices.busy_w) * conditions.power_bias
    idle_w, p_max_w = device.base_w + device.beta_w, device.p_max_w
    w_per_bps, tail_s = device.radio_w_per_mbps * 1e-6, device.radio_tail_s
    scale = settings.weight_rate / rate_utility_scale(settings.full_rate_fps)
    rows = np.arange(len(candidates))
    highest: Indices = np.full(len(candidates), len(choices.levels_hz) - 1)
    start_c = thermal.steady_c(idle_w, float(conditions.ambient_c[0]))
    temperature_c, radio_left_s = np.full(len(candidates), start_c), np.zeros(len(candidates))
    kept_heat = math.exp(-slot_s / thermal.time_constant_s)
    for arrival_fps, capacity_bps, server, factor, ambient_c in zip(
        *(getattr(conditions, name).tolist() for name in _SERIES), strict=True
    ):
        level = np.minimum(wanted_level, highest)
        times_s = factor * frame_s[rows, level]
        rate_bps = capacity_bps if capacity_bps >= REACHABLE_BPS else 0.0
        carried = np.minimum(
            _part(rate_bps, arrival_fps * bits), _part(server, arrival_fps * server_s)
        )
        carried = np.where(share > 0.0, carried * (rate_bps > 0.0) * (server > 0.0), 0.0)
        wanted_s = arrival_fps * (1.0 - share * carried) * times_s  # what comes back included
        busy = np.minimum(wanted_s, 1.0)
        processed_fps = arrival_fps * share * carried + busy / times_s
        sent_bps = arrival_fps * bits * carried
        radio_left_s = np.where(sent_bps > 0.0, tail_s, radio_left_s)
        on_s = np.where(sent_bps > 0.0, slot_s, np.minimum(radio_left_s, slot_s))
        radio_left_s = np.where(sent_bps > 0.0, radio_left_s, radio_left_s - on_s)
        power_w = idle_w + busy * busy_w[level]
        power_w += device.radio_fixed_w * on_s / slot_s + w_per_bps * sent_bps
        end_c = ambient_c + thermal.resistance_c_per_w * power_w
        temperature_c = end_c + (temperature_c - end_c) * kept_heat
        highest = highest - (temperature_c >= thermal.throttle_c)
        highest = highest + (temperature_c < thermal.release_c)
        highest = np.clip(highest, 0, len(choices.levels_hz) - 1)
        cost = settings.weight_energy * power_w / p_max_w
        cost -= scale * processed_fps / (processed_fps + HALF_RATE_FPS)
        if settings.min_processed_fps > 0.0:
            short = np.maximum(1.0 - processed_fps / settings.min_processed_fps, 0.0)
            cost += settings.weight_rate * short
        yield cost


_SERIES = ('arrival_fps', 'capacity_bps', 'server_share', 'latency_factor', 'ambient_c')


def _part(available: float, needed: Series) -> Series:
    """Share of what is needed that there is, at most 1."""
    return available / np.maximum(needed, max(available, 1e-300))
