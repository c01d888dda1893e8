"""Listens to a running graph and writes down what the demo shows of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Allocation, Origin
from visionscaling_ros.demo.run_record import Counters, FrameRecord, RunRecord, SlotRow
from visionscaling_ros.message_reading import (
    msg_to_allocation,
    msg_to_slot_state,
    msgs_to_detections,
    stamp_to_ns,
)
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.listener import Listener


class Recorder(Listener):
    """A node in a thread of its own; use as a context manager.

    Slots, frames and truths are recorded between ``begin`` and ``end``.

    :param on_slot: called (recorder's thread) with every slot recorded.
    """

    def __init__(
        self, *, namespace: str = '', on_slot: Callable[[SlotRow], None] = lambda row: None
    ) -> None:
        super().__init__('demo_recorder', namespace)
        self._on_slot = on_slot
        self._changed = threading.Condition()
        self._record: RunRecord | None = None
        self._decision: msg.SlotDecision | None = None
        self._decided: dict[int, tuple[Allocation, ...]] = {}
        self._inference: msg.InferenceState | None = None
        self._gpu: msg.GpuState | None = None
        self._link: msg.LinkState | None = None
        self._accuracy_map: dict[tuple[str, int], float] = {}
        self.power_source = 'unknown'

    def subscribe(self) -> None:
        """All that is recorded."""
        for message_type, topic, callback, qos in (
            (msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.DECISION_QOS),
            (msg.SlotState, topics.SLOT_STATE, self._on_slot_state, topics.STATE_QOS),
            (msg.InferenceState, topics.INFERENCE_STATE, self._on_inference, topics.STATE_QOS),
            (msg.GpuState, topics.GPU_STATE, self._on_gpu, topics.STATE_QOS),
            (msg.LinkState, topics.LINK_STATE, self._on_link, topics.STATE_QOS),
            (msg.FrameResult, topics.FRAME_RESULT, self._on_result, topics.reliable(100)),
            (msg.FrameResult, topics.GROUND_TRUTH, self._on_truth, topics.reliable(100)),
        ):
            self.node.create_subscription(message_type, topic, callback, qos)

    def wait_for_decision(self, timeout_s: float) -> bool:
        """Wait until a decision is in force and its effect is being measured."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    self._decision is not None
                    and self._inference is not None
                    and not self._inference.fallback
                    and self._gpu is not None
                ),
                timeout_s,
            )

    def begin(self) -> None:
        """Record from now on."""
        with self._changed:
            policy = self._decision.policy if self._decision is not None else ''
            self._record = RunRecord(policy, begin=self._counters())

    def end(self) -> RunRecord:
        """What was recorded since ``begin``."""
        with self._changed:
            record, self._record = self._record, None
            assert record is not None
            record.end = self._counters()
            return record

    def _counters(self) -> Counters:
        inference, gpu, link = self._inference, self._gpu, self._link
        assert inference is not None
        return Counters(
            processed_local=inference.processed_local,
            processed_edge=inference.processed_edge,
            dropped=inference.dropped,
            drop_counts=dict(zip(inference.drop_reasons, inference.drop_counts, strict=True)),
            in_flight=inference.in_flight,
            energy_j=counted_energy_j(gpu, link),
            uptime_s=inference.uptime_s,
        )

    def _on_decision(self, message: msg.SlotDecision) -> None:
        with self._changed:
            self._decision = message
            self._decided[message.slot] = tuple(msg_to_allocation(a) for a in message.allocations)
            self._changed.notify_all()

    def _on_inference(self, message: msg.InferenceState) -> None:
        with self._changed:
            self._inference = message
            self._accuracy_map = {
                (p.model, p.input_size_px): p.accuracy_map for p in message.operating_points
            }
            self._changed.notify_all()

    def _on_gpu(self, message: msg.GpuState) -> None:
        self.power_source = message.power_source
        with self._changed:
            self._gpu = message
            self._changed.notify_all()

    def _on_link(self, message: msg.LinkState) -> None:
        self._link = message

    def _on_slot_state(self, message: msg.SlotState) -> None:
        state = msg_to_slot_state(message)
        row = SlotRow(state, self._decided.pop(message.slot, ()))
        with self._changed:
            if self._record is None:
                return
            self._record.slots.append(row)
        self._on_slot(row)

    def _on_result(self, message: msg.FrameResult) -> None:
        if self._record is None or message.status != msg.FrameResult.STATUS_PROCESSED:
            return
        frame = FrameRecord(
            stamp_to_ns(message.header.stamp),
            Origin(message.origin),
            message.latency_s,
            msgs_to_detections(message.detections),
            self._accuracy_map.get((message.model, message.input_size_px), float('nan')),
        )
        with self._changed:
            if self._record is not None:
                self._record.frames.append(frame)

    def _on_truth(self, message: msg.FrameResult) -> None:
        truth = msgs_to_detections(message.detections)
        with self._changed:
            if self._record is not None:
                self._record.truths[stamp_to_ns(message.header.stamp)] = truth


def counted_energy_j(gpu: msg.GpuState | None, link: msg.LinkState | None) -> float:
    """What computer and radio have drawn by now [J]; NaN as long as nobody tells."""
    if gpu is None:
        return math.nan
    if link is None or gpu.power_covers_radio:
        return float(gpu.energy_j)
    return float(gpu.energy_j + link.radio_energy_j)
