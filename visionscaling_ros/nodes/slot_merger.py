"""Merges what the nodes measured into the state of one slot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from visionscaling_ros import msg
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.nodes.conversions import (
    NANOSECONDS,
    msg_to_allocation,
    msg_to_operating_point,
    stamp_to_ns,
)


class SlotMerger:
    """Keeps the newest state messages and turns their counters into rates.

    Rates come from the counters' own stamps, so a message that is late or lost falsifies nothing.
    """

    def __init__(self) -> None:
        self.inference: msg.InferenceState | None = None
        self.gpu: msg.GpuState | None = None
        self.link: msg.LinkState | None = None
        self._inference_before: msg.InferenceState | None = None
        self._gpu_before: msg.GpuState | None = None
        self._link_before: msg.LinkState | None = None

    def merge(self, slot: int, policy: str) -> SlotState | None:
        """The state since the last call; None while inference_node has told nothing new."""
        inference, before = self.inference, self._inference_before
        gpu, gpu_before = self.gpu, self._gpu_before
        link, link_before = self.link, self._link_before
        self._gpu_before, self._link_before = gpu, link
        if inference is None or inference is before:
            return None
        self._inference_before = inference
        duration_s = _elapsed_s(inference, before)
        if before is None or duration_s <= 0.0:
            return None

        def rate(name: str) -> float:
            return _delta(getattr(inference, name), getattr(before, name)) / duration_s

        measured_map = inference.measured_map
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
            **_link_fields(link, link_before),
            **_energy(duration_s, (gpu, gpu_before), (link, link_before)),
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
        )


def _elapsed_s(now: msg.InferenceState, before: msg.InferenceState | None) -> float:
    if before is None:
        return 0.0
    return (stamp_to_ns(now.header.stamp) - stamp_to_ns(before.header.stamp)) / NANOSECONDS


def _delta(now: float, before: float) -> float:
    """Growth of a counter; a counter that went back was started anew."""
    return now - before if now >= before else now


def _drops(now: msg.InferenceState, before: msg.InferenceState) -> dict[str, int]:
    old = dict(zip(before.drop_reasons, before.drop_counts, strict=True))
    new = dict(zip(now.drop_reasons, now.drop_counts, strict=True))
    grown = {reason: int(_delta(count, old.get(reason, 0))) for reason, count in new.items()}
    return {reason: count for reason, count in grown.items() if count}


def _gpu_fields(gpu: msg.GpuState | None) -> dict[str, float]:
    if gpu is None:
        return {}
    return {'gpu_frequency_hz': gpu.frequency_hz, 'gpu_temperature_c': gpu.temperature_c}


def _link_fields(
    link: msg.LinkState | None, before: msg.LinkState | None
) -> dict[str, float | bool]:
    if link is None or link is before:  # no news from the bridge: it is away
        return {'edge_reachable': False}
    sent_bps = 0.0
    if before is not None:
        elapsed_s = _elapsed_s(link, before)  # type: ignore[arg-type]
        sent_bps = 8.0 * _delta(link.sent_bytes, before.sent_bytes) / elapsed_s
    return {
        'uplink_throughput_bps': sent_bps,
        'uplink_capacity_bps': link.capacity_bps,
        'uplink_capacity_age_s': link.capacity_age_s,
        'rtt_s': link.rtt_s,
        'server_queue_s': link.server_queue_s,
        'server_share': link.server_share,
        'edge_reachable': link.reachable,
    }


def _energy(
    duration_s: float, *sources: Sequence[msg.GpuState | msg.LinkState | None]
) -> dict[str, float]:
    """Power and energy of the slot, each source over its own stamps. NaN without gpu_state."""
    power_w = 0.0
    for now, before in sources:
        if now is None or before is None or now is before:
            if isinstance(now or before, msg.GpuState) or (now is None and before is None):
                continue
            continue
        name = 'energy_j' if isinstance(now, msg.GpuState) else 'radio_energy_j'
        power_w += _delta(getattr(now, name), getattr(before, name)) / _elapsed_s(now, before)
    return {'power_w': power_w, 'energy_j': power_w * duration_s}
