"""A robot in a simulated world: what a decision comes to in a slot."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from visionscaling_ros.control.evaluation import slot_cost
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotDecision, SlotState
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.assignment import Rates, assigned
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.drops import DropCounter
from visionscaling_ros.simulation.latency_book import RTT_S, LatencyBook
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.radio import Radio
from visionscaling_ros.simulation.thermal import ThermalState

CAPACITY_NOISE = 0.03  # relative error of a measured uplink capacity (assumption)
REACHABLE_BPS = 8e3  # an uplink that carries less lets no probe of 1 kB a second through
_NOISE_STREAM = 100


class World:
    """Plays decisions against conditions, slot by slot, as a fluid.

    Allocations are shares of the frames that arrive. Offloaded frames beyond what the uplink or
    the server carries come back and are run locally in the same configuration while there is time
    left, as the edge bridge does; local frames beyond a busy share of 1 give way to newer ones.
    ``arrived = processed locally + at the edge + dropped`` in every slot.

    Whatever the decision, something defined happens: allocations of unknown configurations, split
    ones and rates that make no sense are not run; a clock that makes no sense leaves it as it is.

    :ivar latencies: of what was processed so far.
    :raises InvalidValueError: the conditions were made for other configurations.
    """

    def __init__(
        self, conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
    ) -> None:
        points, device = profile.points, profile.device
        bias: list[float] = conditions.point_latency_bias.tolist()
        if len(bias) != len(points):
            allowed = f'{len(points)}, as {profile.name} has points'
            raise InvalidValueError('length of point_latency_bias', len(bias), allowed)
        self._profile = profile
        self._settings = settings
        self._slot_s = slot_s = conditions.slot_s
        self._arrival_fps: list[float] = conditions.arrival_fps.tolist()
        self._capacity_bps: list[float] = conditions.capacity_bps.tolist()
        self._server_share: list[float] = conditions.server_share.tolist()
        self._latency_factor: list[float] = conditions.latency_factor.tolist()
        self._ambient_c: list[float] = conditions.ambient_c.tolist()
        rtt_s = conditions.rtt_s
        self._rtt_s: list[float] = [RTT_S] * len(conditions) if rtt_s is None else rtt_s.tolist()
        rng = np.random.default_rng([conditions.seed, _NOISE_STREAM])
        noise = np.exp(CAPACITY_NOISE * rng.standard_normal(len(conditions)))
        self._capacity_noise: list[float] = noise.tolist()
        self._index = {(p.model, p.input_size_px): k for k, p in enumerate(points)}
        self._levels_hz = levels_hz = device.clock_levels_hz
        self._bias = bias
        self._points_of = conditions.points
        self._use_points(points if conditions.points is None else conditions.points[0])
        self._softness, self._edge_loss = conditions.local_softness, conditions.edge_loss
        self._offload_slowdown = conditions.offload_slowdown
        self._dynamic_w = [conditions.power_bias * device.gpu_dynamic_power_w(f) for f in levels_hz]
        self._idle_w = max(0.0, device.base_w + device.beta_w + conditions.power_offset_w)
        self._wanted_level = len(levels_hz) - 1
        start_c = conditions.start_temperature_c
        if start_c is None:
            start_c = profile.thermal.steady_c(self._idle_w, float(conditions.ambient_c[0]))
        self._thermal = ThermalState(
            profile.thermal, slot_s=slot_s, top_level=self._wanted_level, temperature_c=start_c
        )
        self._radio = Radio(device, tail_s=device.radio_tail_s, slot_s=slot_s)
        self._drops = DropCounter(slot_s)
        self.latencies = LatencyBook(self._points, slot_s)
        self._known_capacity_bps = math.nan
        self._capacity_age_s = math.inf
        self._constraint_sum = 0.0

    def start(self) -> SlotState:
        """What is known before the first slot: the configurations, and nothing measured yet."""
        arrival_fps = self._profile.arrival_fps
        return SlotState(
            slot=0,
            duration_s=self._slot_s,
            arrival_fps=arrival_fps,
            dropped_fps=arrival_fps,
            gpu_frequency_hz=self._levels_hz[self._wanted_level],
            gpu_utilization=0.0,
            gpu_temperature_c=self._thermal.temperature_c,
            rtt_s=self._rtt_s[0],
            server_share=self._server_share[0],
            edge_reachable=self._capacity_bps[0] >= REACHABLE_BPS,
            operating_points=self._points,
        )

    def step(self, decision: SlotDecision, slot: int) -> SlotState:
        """Slot ``slot`` (0 to T - 1, in order) under a decision; returns what a robot would."""
        if self._points_of is not None and self._points_of[slot] is not self._points:
            self._use_points(self._points_of[slot])
            self.latencies.use_points(self._points)
        arrival_fps = self._arrival_fps[slot]
        capacity_bps = self._capacity_bps[slot]
        share = self._server_share[slot]
        reachable = capacity_bps >= REACHABLE_BPS
        local, edge = assigned(decision, self._index, arrival_fps)
        level = self._clock_level(decision.gpu_frequency_hz)
        frame_s, factor = self._frame_s[level], self._latency_factor[slot]
        rate_bps = min(capacity_bps, _ceiling_bps(decision)) if reachable else 0.0
        carried, sent_bps, served = self._carried(edge, rate_bps, share)
        if self._offload_slowdown > 0.0:
            factor *= math.exp(self._offload_slowdown * served)

        wanted = factor * sum([rate * frame_s[k] for k, rate in local])
        kept = _kept(wanted, self._softness)
        busy = wanted * kept
        ran: dict[int, float] = {}
        for k, rate in local:
            ran[k] = ran.get(k, 0.0) + rate * kept
        offered_fps = sum([rate for _, rate in local])
        superseded_fps = offered_fps * (1.0 - kept)
        failed_fps = 0.0
        if carried < 1.0:
            back = [(k, rate * (1.0 - carried)) for k, rate in edge]
            wanted = factor * sum([rate * frame_s[k] for k, rate in back])
            taken = 1.0 if wanted <= 1.0 - busy else (1.0 - busy) / wanted
            busy = min(1.0, busy + wanted * taken)
            for k, rate in back:
                failed_fps += rate * (1.0 - taken)
                if taken > 0.0:
                    ran[k] = ran.get(k, 0.0) + rate * taken
                    offered_fps += rate * taken

        processed, accuracy_sum = self._processed(ran, edge, carried)
        local_fps = sum(ran.values())
        edge_fps = sum([rate for _, rate in edge]) * carried
        processed_fps = local_fps + edge_fps
        dropped_fps = max(0.0, arrival_fps - processed_fps)
        unscheduled_fps = max(0.0, dropped_fps - superseded_fps - failed_fps)
        local_mean_s, local_longest_s = self.latencies.local(
            ran.items(), frame_s, factor, busy=busy, ran_fps=local_fps, offered_fps=offered_fps
        )
        edge_mean_s, edge_longest_s = self.latencies.edge(
            edge, carried=carried, rate_bps=rate_bps, share=share, rtt_s=self._rtt_s[slot]
        )

        power_w = self._idle_w + busy * self._dynamic_w[level] + self._radio.power_w(sent_bps)
        temperature_c = self._thermal.step(power_w, self._ambient_c[slot])
        self._measure_capacity(slot, sent_bps)
        settings = self._settings
        constraint = processed_fps * settings.accuracy_target_map - accuracy_sum
        self._constraint_sum += constraint
        return SlotState(
            slot=slot,
            duration_s=self._slot_s,
            policy=decision.policy,
            arrival_fps=arrival_fps,
            processed_local_fps=local_fps,
            processed_edge_fps=edge_fps,
            dropped_fps=dropped_fps,
            drop_counts=self._drops.add(unscheduled_fps, superseded_fps, failed_fps),
            latency_local_mean_s=local_mean_s,
            latency_local_p95_s=local_longest_s,
            latency_edge_mean_s=edge_mean_s,
            latency_edge_p95_s=edge_longest_s,
            energy_j=power_w * self._slot_s,
            power_w=power_w,
            gpu_frequency_hz=self._levels_hz[level],
            gpu_utilization=busy,
            gpu_temperature_c=temperature_c,
            uplink_throughput_bps=sent_bps,
            uplink_capacity_bps=self._known_capacity_bps,
            uplink_capacity_age_s=self._capacity_age_s,
            rtt_s=self._rtt_s[slot] if reachable else math.nan,
            server_share=share if reachable else math.nan,
            edge_reachable=reachable,
            achieved_map=accuracy_sum / processed_fps if processed_fps > 0.0 else math.nan,
            cost=slot_cost(power_w, processed_fps, settings, self._profile.device),
            constraint=constraint,
            cumulative_fit=max(self._constraint_sum, 0.0),
            processed=processed,
            operating_points=self._points,
        )

    def _use_points(self, points: tuple[OperatingPoint, ...]) -> None:
        """What the configurations cost from now on."""
        if len(points) != len(self._bias):
            raise InvalidValueError('points of a slot', len(points), f'{len(self._bias)} of them')
        self._points = points
        self._frame_s = [
            [p.local_latency_s(f_hz) * b for p, b in zip(points, self._bias, strict=True)]
            for f_hz in self._levels_hz
        ]

    def _clock_level(self, wanted_hz: float) -> int:
        """Index of the clock it runs at: rounded up to a level, held down while it is hot."""
        if 0.0 < wanted_hz < math.inf and self._profile.device.can_set_clock:
            above = bisect_left(self._levels_hz, wanted_hz * (1.0 - 1e-9))
            self._wanted_level = min(above, len(self._levels_hz) - 1)
        return min(self._wanted_level, self._thermal.highest_level)

    def _carried(self, edge: Rates, rate_bps: float, share: float) -> tuple[float, float, float]:
        """Part of the offloaded frames that gets through, what is sent [bit/s], server's time."""
        if not edge:
            return 1.0, 0.0, 0.0
        points = self._points
        need_bps = sum([rate * points[k].upload_bits for k, rate in edge])
        need_share = sum([rate * points[k].server_time_s for k, rate in edge])
        carried = 1.0 if rate_bps > 0.0 and share > 0.0 else 0.0
        if need_bps > rate_bps:
            carried = rate_bps / need_bps
        if need_share > share:
            carried = min(carried, share / need_share)
        carried *= 1.0 - self._edge_loss
        return carried, carried * need_bps, carried * need_share

    def _processed(
        self, ran: dict[int, float], edge: Rates, carried: float
    ) -> tuple[tuple[Allocation, ...], float]:
        """What ran where, and the sum of its rates times accuracies [mAP frames/s]."""
        points = self._points
        accuracy_sum = 0.0
        processed = []
        for k, rate in ran.items():
            point = points[k]
            accuracy_sum += rate * point.accuracy_map
            processed.append(Allocation(point.model, point.input_size_px, Origin.LOCAL, rate))
        if carried > 0.0:
            for k, rate in edge:
                point, rate_fps = points[k], rate * carried
                accuracy_sum += rate_fps * point.accuracy_map
                processed.append(
                    Allocation(point.model, point.input_size_px, Origin.EDGE, rate_fps)
                )
        return tuple(processed), accuracy_sum

    def _measure_capacity(self, slot: int, sent_bps: float) -> None:
        if sent_bps > 0.0:
            self._known_capacity_bps = self._capacity_bps[slot] * self._capacity_noise[slot]
            self._capacity_age_s = 0.0
        else:
            self._capacity_age_s += self._slot_s


def _ceiling_bps(decision: SlotDecision) -> float:
    """Ceiling on the uplink rate [bit/s]; inf where the decision sets none."""
    return decision.tx_rate_bps if decision.tx_rate_bps > 0.0 else math.inf


def _kept(wanted: float, softness: float) -> float:
    """Part of the local frames that run where so much busy share is wanted, 0 to more than 1.

    ``(1 + wanted^n)^(-1/n)`` with n = 1 / softness; softness 0: the least of 1 and 1 / wanted.
    """
    fluid = 1.0 if wanted <= 1.0 else 1.0 / wanted
    if softness <= 0.0 or wanted <= 0.0:
        return fluid
    # the same with the larger of the two taken out, so that no power overflows
    ratio = min(wanted, 1.0 / wanted)
    return float(fluid * (1.0 + ratio ** (1.0 / softness)) ** -softness)
