"""Between messages and the package's plain data types."""

from __future__ import annotations

import array
import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from visionscaling_ros import msg
from visionscaling_ros.datatypes import (
    Allocation,
    Beliefs,
    Detections,
    ImageArray,
    OperatingPoint,
    Origin,
    SlotDecision,
    SlotState,
)

NANOSECONDS = 1_000_000_000
DEFAULT_SLOT_S = 1.0  # of decisions that do not say how long they are for


def counter_growth(now: float, before: float) -> float:
    """Growth of a counter in a message; one that went back was started anew with its node."""
    return now - before if now >= before else now


def stamp_to_ns(stamp: Time) -> int:
    """A stamp as nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """Nanoseconds as a stamp."""
    return Time(sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS)


def make_header(stamp_ns: int, frame_id: str = '') -> Header:
    """A header."""
    return Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id)


def to_byte_array(data: memoryview | bytes) -> array.array[int]:
    """Bytes in the one form that rclpy's setters take fast on every distribution."""
    values = array.array('B')
    values.frombytes(data)
    return values


def bgr_to_image(image_bgr: ImageArray, header: Header) -> Image:
    """An Image message of a BGR array (H, W, 3)."""
    height_px, width_px = image_bgr.shape[:2]
    return Image(
        header=header,
        height=height_px,
        width=width_px,
        encoding='bgr8',
        step=3 * width_px,
        data=to_byte_array(memoryview(np.ascontiguousarray(image_bgr)).cast('B')),
    )


def detections_to_msgs(
    detections: Detections, class_names: Sequence[str]
) -> list[msg.Detection]:
    """Detection messages; a class id outside ``class_names`` is named by its number."""
    return [
        msg.Detection(
            class_id=class_id,
            class_name=class_names[class_id] if class_id < len(class_names) else str(class_id),
            score=score,
            x_min=box[0],
            y_min=box[1],
            x_max=box[2],
            y_max=box[3],
        )
        for box, score, class_id in zip(
            detections.boxes_px.tolist(),
            detections.scores.tolist(),
            detections.class_ids.tolist(),
            strict=True,
        )
    ]


def msgs_to_detections(messages: Sequence[msg.Detection]) -> Detections:
    """Detections of messages."""
    if not messages:
        return Detections.empty()
    return Detections(
        np.array([[m.x_min, m.y_min, m.x_max, m.y_max] for m in messages], np.float32),
        np.array([m.score for m in messages], np.float32),
        np.array([m.class_id for m in messages], np.int64),
    )


def allocation_to_msg(allocation: Allocation) -> msg.Allocation:
    """An Allocation message."""
    return msg.Allocation(
        model=allocation.model,
        input_size_px=allocation.input_size_px,
        origin=int(allocation.origin),
        cut=allocation.cut,
        rate_fps=float(allocation.rate_fps),
    )


def msg_to_allocation(message: msg.Allocation) -> Allocation:
    """An Allocation; raises ValueError for an unknown origin."""
    return Allocation(
        message.model,
        message.input_size_px,
        Origin(message.origin),
        message.rate_fps,
        message.cut,
    )


def operating_point_to_msg(point: OperatingPoint) -> msg.OperatingPoint:
    """An OperatingPoint message."""
    return msg.OperatingPoint(
        model=point.model,
        input_size_px=point.input_size_px,
        accuracy_map=float(point.accuracy_map),
        gpu_work_ghz_s=float(point.gpu_work_ghz_s),
        serial_s=float(point.serial_s),
        upload_bits=float(point.upload_bits),
        server_time_s=float(point.server_time_s),
    )


def msg_to_operating_point(message: msg.OperatingPoint) -> OperatingPoint:
    """An OperatingPoint."""
    return OperatingPoint(
        message.model,
        message.input_size_px,
        message.accuracy_map,
        message.gpu_work_ghz_s,
        message.serial_s,
        message.upload_bits,
        message.server_time_s,
    )


def decision_to_msg(
    decision: SlotDecision, header: Header, duration_s: float = DEFAULT_SLOT_S
) -> msg.SlotDecision:
    """A SlotDecision message for a slot of ``duration_s``."""
    return msg.SlotDecision(
        header=header,
        slot=decision.slot,
        duration_s=duration_s,
        allocations=[allocation_to_msg(a) for a in decision.allocations],
        gpu_frequency_hz=float(decision.gpu_frequency_hz),
        tx_rate_bps=float(decision.tx_rate_bps),
        arrival_fps=float(decision.arrival_fps),
        policy=decision.policy,
        expected_power_w=float(decision.expected_power_w),
        expected_processed_fps=float(decision.expected_processed_fps),
        expected_map=float(decision.expected_map),
        expected_cost=float(decision.expected_cost),
        multiplier=float(decision.multiplier),
        decision_time_s=float(decision.decision_time_s),
    )


def slot_duration_s(message: msg.SlotDecision) -> float:
    """How long a decision is meant to be in force [s]; DEFAULT_SLOT_S if it does not say."""
    return message.duration_s if 0.0 < message.duration_s < math.inf else DEFAULT_SLOT_S


def msg_to_decision(message: msg.SlotDecision) -> SlotDecision:
    """A SlotDecision; raises ValueError for an unknown origin."""
    return SlotDecision(
        slot=message.slot,
        allocations=tuple(msg_to_allocation(a) for a in message.allocations),
        gpu_frequency_hz=message.gpu_frequency_hz,
        tx_rate_bps=message.tx_rate_bps,
        arrival_fps=message.arrival_fps,
        policy=message.policy,
        expected_power_w=message.expected_power_w,
        expected_processed_fps=message.expected_processed_fps,
        expected_map=message.expected_map,
        expected_cost=message.expected_cost,
        multiplier=message.multiplier,
        decision_time_s=message.decision_time_s,
    )


BELIEFS_PLAIN_FIELDS = (
    'arrival_fps', 'capacity_bps', 'capacity_quantiles_bps', 'edge_usable', 'latency_factor',
    'power_factor', 'power_offset_w', 'clock_cap_hz', 'target_feasible',
)  # fmt: skip


def beliefs_to_msg(beliefs: Beliefs) -> msg.Beliefs:
    """A Beliefs message."""
    return msg.Beliefs(
        operating_points=[operating_point_to_msg(p) for p in beliefs.operating_points],
        **{name: getattr(beliefs, name) for name in BELIEFS_PLAIN_FIELDS},
    )


SLOT_STATE_PLAIN_FIELDS = (
    'slot', 'duration_s', 'policy', 'arrival_fps', 'processed_local_fps', 'processed_edge_fps',
    'dropped_fps', 'in_flight', 'latency_local_mean_s', 'latency_local_p95_s',
    'latency_edge_mean_s', 'latency_edge_p95_s', 'energy_j', 'power_w', 'gpu_frequency_hz',
    'gpu_utilization', 'gpu_temperature_c', 'uplink_throughput_bps', 'uplink_capacity_bps',
    'rtt_s', 'server_queue_s', 'server_share', 'edge_reachable', 'achieved_map', 'map_measured',
    'cost', 'constraint', 'cumulative_fit',
)  # fmt: skip


def slot_state_to_msg(state: SlotState, header: Header) -> msg.SlotState:
    """A SlotState message."""
    return msg.SlotState(
        header=header,
        drop_reasons=list(state.drop_counts),
        drop_counts=list(state.drop_counts.values()),
        beliefs=beliefs_to_msg(state.beliefs),
        **{name: getattr(state, name) for name in SLOT_STATE_PLAIN_FIELDS},
    )
