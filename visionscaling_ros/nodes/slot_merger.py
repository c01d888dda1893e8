"""Merges what the nodes measured into the state of one slot."""

from __future__ import annotations

import math

from visionscaling_ros import msg
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.message_reading import msg_to_allocation, msg_to_operating_point
from visionscaling_ros.nodes.conversions import counter_growth
from visionscaling_ros.nodes.slot_energy import SlotEnergy
from visionscaling_ros.nodes.topics import LINK_SILENCE_S

Counted = msg.InferenceState | msg.LinkState


class SlotMerger:
    """Keeps the newest state messages and turns their counters into rates.

    Rates come from the counters and their own clock, so a late or lost message falsifies nothing.
    """

    def __init__(self) -> None:
        self.inference: msg.InferenceState | None = None
        self.gpu: msg.GpuState | None = None
        self.link: msg.LinkState | None = None
        self._link_news_s = -math.inf
        self._inference_before: msg.InferenceState | None = None
        self._link_before: msg.LinkState | None = None
        self._energy = SlotEnergy()

    def merge(self, slot: int, policy: str, now_s: float) -> SlotState | None:
        """The state since the last call; None while inference_node has told nothing new.

        :param now_s: monotonic clock [s].
        """
        inference, before = self.inference, self._inference_before
        gpu = self.gpu
        link, link_before = self.link, self._link_before
        self._link_before = link
        if link is not link_before:
            self._link_news_s = now_s
        link_silent = now_s - self._link_news_s > LINK_SILENCE_S
        if inference is None or inference is before:
            return None
        self._inference_before = inference
        if before is None:
            self._energy.begin(gpu, link)
            return None
        duration_s = _elapsed_s(inference, before)

        def rate(name: str) -> float:
            return counter_growth(getattr(inference, name), getattr(before, name)) / duration_s

        measured_map = inference.measured_map
        power_w, energy_j = self._energy.end_slot(gpu, link, duration_s)
        return SlotState(
            slot=slot,
            duration_s=duration_s,
            policy=policy,
            arrival_fps=rate('arrived'),
            processed_local_fps=rate('processed_local'),
            processed_edge_fps=rate('processed_edge'),
            dropped_fps=rate('dropped'),
            drop_counts=_drops(inference, before),
            in_flight=inference.in_flight,
            latency_local_mean_s=inference.latency_local_mean_s,
            latency_local_p95_s=inference.latency_local_p95_s,
            latency_edge_mean_s=inference.latency_edge_mean_s,
            latency_edge_p95_s=inference.latency_edge_p95_s,
            gpu_utilization=min(1.0, rate('gpu_busy_s')),
            achieved_map=measured_map,
            map_measured=not math.isnan(measured_map),
            processed=tuple(msg_to_allocation(a) for a in inference.allocations),
            operating_points=tuple(msg_to_operating_point(p) for p in inference.operating_points),
            **_gpu_fields(gpu),
            **_link_fields(None if link_silent else link, link_before),
            power_w=power_w,
            energy_j=energy_j,
        )

    def device(self) -> DeviceModel:
        """The device as gpu_state and link_state describe it."""
        gpu, link = self.gpu or msg.GpuState(), self.link or msg.LinkState()
        return DeviceModel(
            available_frequencies_hz=tuple(gpu.available_frequencies_hz),
            alpha_w_per_ghz3=gpu.power_model_alpha_w_per_ghz3,
            beta_w=gpu.power_model_beta_w,
            base_w=gpu.power_base_w,
            radio_fixed_w=link.radio_fixed_w,
            radio_w_per_mbps=link.radio_w_per_mbps,
            radio_tail_s=link.radio_tail_s,
            frequency_hz=gpu.frequency_hz,
        )


def _elapsed_s(now: Counted, before: Counted) -> float:
    return max(1e-9, counter_growth(now.uptime_s, before.uptime_s))


def _drops(now: msg.InferenceState, before: msg.InferenceState) -> dict[str, int]:
    old = dict(zip(before.drop_reasons, before.drop_counts, strict=True))
    new = dict(zip(now.drop_reasons, now.drop_counts, strict=True))
    grown = {
        reason: int(counter_growth(count, old.get(reason, 0))) for reason, count in new.items()
    }
    return {reason: count for reason, count in grown.items() if count}


def _gpu_fields(gpu: msg.GpuState | None) -> dict[str, float]:
    if gpu is None:
        return {}
    return {'gpu_frequency_hz': gpu.frequency_hz, 'gpu_temperature_c': gpu.temperature_c}


def _link_fields(
    link: msg.LinkState | None, before: msg.LinkState | None
) -> dict[str, float | bool]:
    if link is None:
        return {'edge_reachable': False}
    sent_bps = 0.0
    if before is not None and before is not link:
        sent_bytes = counter_growth(link.sent_bytes, before.sent_bytes)
        sent_bps = 8.0 * sent_bytes / _elapsed_s(link, before)
    return {
        'uplink_throughput_bps': sent_bps,
        'uplink_capacity_bps': link.capacity_bps,
        'uplink_capacity_age_s': link.capacity_age_s,
        'rtt_s': link.rtt_s,
        'server_queue_s': link.server_queue_s,
        'server_share': link.server_share,
        'edge_reachable': link.reachable,
    }
