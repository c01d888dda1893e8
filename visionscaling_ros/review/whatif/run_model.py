"""A model of a recorded run: its conditions, and what the robot's own figures got wrong."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionscaling_ros.control.policy import make_policy
from visionscaling_ros.control.policy_pool import RememberingPolicy
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.review.whatif.gaps import filled
from visionscaling_ros.review.whatif.latency_fit import fit_latency
from visionscaling_ros.review.whatif.power_fit import fit_power
from visionscaling_ros.review.whatif.run_conditions import points_by_slot
from visionscaling_ros.review.whatif.run_slots import RunSlots
from visionscaling_ros.review.whatif.slot_series import Mask, Series, SlotSeries
from visionscaling_ros.review.whatif.thermal_fit import NO_HEAT
from visionscaling_ros.review.whatif.watched_policy import WatchedPolicy, offloads, scaled
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.oracle import oracle_cost
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.runner import simulate
from visionscaling_ros.simulation.world import World

_MILD_C = 25.0  # where no temperature is known
_SCALES = 0.1, 10.0
_MOST_LOST = 0.9
_HALVINGS = 6  # of the range of softness
_NEGLIGIBLE = 0.002  # of the local frames
_LATENCIES = (
    ('latency_local_mean_s', 'local_fps'),
    ('latency_local_p95_s', 'local_fps'),
    ('latency_edge_mean_s', 'edge_fps'),
    ('latency_edge_p95_s', 'edge_fps'),
)


@dataclass(frozen=True, eq=False)
class Played:
    """What came of a policy in the model, and whether it ever decided to offload."""

    series: SlotSeries
    states: tuple[SlotState, ...]
    offloads: bool


@dataclass(frozen=True, eq=False)
class RunModel:
    """Conditions and device of a run, fitted to some of its slots.

    :param scale: measured over simulated latency, by name of the field in ``SlotState``.
    """

    slots: RunSlots
    conditions: Conditions
    profile: DeviceProfile
    scale: dict[str, float]

    def play(
        self, policy: str, settings: ControlSettings, *, scored_by: ControlSettings | None = None
    ) -> Played:
        """That policy in closed loop, from the first slot to the last.

        It goes on from what it had learned before the run, if that was recorded.

        :param scored_by: settings that the cost is by; None: those it plays by.
        :raises InvalidValueError: there is no policy of that name, or what it learned is damaged.
        """
        chosen = make_policy(policy, settings)
        if policy in self.slots.learned and isinstance(chosen, RememberingPolicy):
            chosen.load_state(self.slots.learned[policy])
        watched = WatchedPolicy(chosen, self.scale)
        simulate(watched, self.conditions, self.profile, settings)
        return self._played(watched.states, scored_by or settings, offloads=watched.offloads)

    def play_recorded(self, settings: ControlSettings) -> Played:
        """The very decisions that were recorded, their cost by ``settings``."""
        world = World(self.conditions, self.profile, settings)
        decisions = self.slots.decisions
        states = [scaled(world.step(d, slot), self.scale) for slot, d in enumerate(decisions)]
        return self._played(states, settings, offloads=any(map(offloads, decisions)))

    def least_cost(self, settings: ControlSettings) -> Series:
        """Cost of the best decision of each slot, knowing all of it, shape (T,)."""
        points = self.conditions.points
        assert points is not None
        least = np.zeros(len(points))
        alike: dict[int, list[int]] = {}
        for t, told in enumerate(points):
            alike.setdefault(id(told), []).append(t)
        for slots in alike.values():
            profile = dataclasses.replace(self.profile, points=points[slots[0]])
            least[slots] = oracle_cost(self.conditions.of_slots(slots), profile, settings)
        p_max_w = self.profile.device.p_max_w
        offset = settings.weight_energy * self.conditions.power_offset_w / p_max_w
        return least + offset

    def changed(self, **conditions: Any) -> RunModel:
        """The same under conditions that differ in these."""
        return dataclasses.replace(
            self, conditions=dataclasses.replace(self.conditions, **conditions)
        )

    def _played(
        self, states: list[SlotState], scored_by: ControlSettings, *, offloads: bool
    ) -> Played:
        series = SlotSeries.of(states, scored_by, self.profile.device)
        return Played(series, tuple(states), offloads)


def fit_model(slots: RunSlots, kept: Mask, *, seed: int = 0) -> RunModel:
    """A model of all slots, fitted to what came of the decisions in those ``kept``.

    Arrivals, uplink, server and round trip are taken from every slot, as nobody decided them, and
    temperatures where they tell no thermal model; the costs of configurations, power, heat, losses
    and latencies only from those kept.

    :param seed: of what is random in the model, the error of capacity measurements.
    """
    top_hz = slots.device.clock_levels_hz[-1]
    points = points_by_slot(slots.states, kept, slots.first_points, top_hz)
    factor, offset_w = fit_power(slots.states, slots.device, kept, slots.slot_s)
    latency = fit_latency(slots.states, points, kept)
    met, heat = slots.conditions, slots.heat(kept)
    temperature_c = filled(met.temperature_c, default=_MILD_C)
    conditions = Conditions(
        trace='recorded',
        scenario='recorded',
        seed=seed,
        slot_s=slots.slot_s,
        arrival_fps=met.arrival_fps,
        capacity_bps=met.capacity_bps,
        server_share=met.server_share,
        latency_factor=latency.factor,
        ambient_c=temperature_c if heat is None else np.full(len(slots), heat.ambient_c),
        point_latency_bias=latency.bias,
        power_bias=factor,
        power_offset_w=offset_w,
        rtt_s=met.rtt_s,
        offload_slowdown=latency.slowdown,
        points=points,
        start_temperature_c=float(temperature_c[0]),
    )
    settings = slots.settings
    profile = DeviceProfile(
        name='recorded',
        device=slots.device,
        points=points[0],
        thermal=NO_HEAT if heat is None else heat.thermal,
        arrival_fps=float(met.arrival_fps[0]),
        accuracy_target_map=settings.accuracy_target_map,
        full_rate_fps=settings.full_rate_fps,
        sources=('recorded',),
    )
    return _with_losses_and_scales(RunModel(slots, conditions, profile, {}), kept)


def _with_losses_and_scales(model: RunModel, kept: Mask) -> RunModel:
    """What a fluid does not lose and how long it takes, by the decisions recorded.

    Each follows from the one before: what the edge gives back is run locally.
    """
    settings = model.slots.settings
    measured = model.slots.measured(settings).part(kept)

    def simulated(**changes: float) -> SlotSeries:
        return model.changed(**changes).play_recorded(settings).series.part(kept)

    series = simulated()
    fluid_fps, edge_fps = np.nansum(series.edge_fps), np.nansum(measured.edge_fps)
    if fluid_fps > edge_fps:
        model = model.changed(edge_loss=min(1.0 - float(edge_fps / fluid_fps), _MOST_LOST))
        series = simulated()
    ran_fps = float(np.nansum(measured.local_fps))
    if np.nansum(series.local_fps) - ran_fps > _NEGLIGIBLE * ran_fps:
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            lost_fps = np.nansum(simulated(local_softness=middle).local_fps) - ran_fps
            low, high = (middle, high) if lost_fps > 0.0 else (low, middle)
        model = model.changed(local_softness=low)
        series = simulated()
    return dataclasses.replace(model, scale=_scales(measured, series))


def _scales(measured: SlotSeries, simulated: SlotSeries) -> dict[str, float]:
    """Measured over simulated mean of each latency; 1 where nothing is to be compared."""
    scales = {}
    for name, rate in _LATENCIES:
        true, model = getattr(measured, name), getattr(simulated, name)
        weight = getattr(measured, rate)
        both = np.isfinite(true) & np.isfinite(model) & (weight > 0.0)
        total = float(model[both] @ weight[both])
        scale = float(true[both] @ weight[both]) / total if total > 0.0 else 1.0
        scales[name] = float(np.clip(scale, *_SCALES))
    return scales
