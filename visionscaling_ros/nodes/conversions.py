"""The package's plain data types as messages; ``message_reading`` goes the other way."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from visionscaling_ros import msg
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import (
    Allocation,
    Beliefs,
    Detections,
    Explanation,
    ImageArray,
    OperatingPoint,
    SlotDecision,
    SlotState,
)
from visionscaling_ros.message_reading import (
    BELIEFS_PLAIN_FIELDS,
    DECISION_PLAIN_FIELDS,
    DEFAULT_SLOT_S,
    EXPLANATION_PLAIN_FIELDS,
    NANOSECONDS,
    SLOT_STATE_PLAIN_FIELDS,
    plain_fields,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def counter_growth(now: float, before: float) -> float:
    """Growth of a counter in a message; one that went back was started anew with its node."""
    return now - before if now >= before else now


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


def allocation_to_msg(allocation: Allocation) -> msg.Allocation:
    """An Allocation message."""
    return msg.Allocation(
        model=allocation.model,
        input_size_px=allocation.input_size_px,
        origin=int(allocation.origin),
        cut=allocation.cut,
        rate_fps=float(allocation.rate_fps),
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


def explanation_to_msg(explanation: Explanation) -> msg.Explanation:
    """An Explanation message."""
    return msg.Explanation(
        binding_constraints=int(explanation.binding_constraints),
        runner_up=[allocation_to_msg(a) for a in explanation.runner_up],
        **_plain(explanation, EXPLANATION_PLAIN_FIELDS),
    )


def decision_to_msg(
    decision: SlotDecision, header: Header, duration_s: float = DEFAULT_SLOT_S
) -> msg.SlotDecision:
    """A SlotDecision message for a slot of ``duration_s``."""
    return msg.SlotDecision(
        header=header,
        duration_s=duration_s,
        allocations=[allocation_to_msg(a) for a in decision.allocations],
        explanation=explanation_to_msg(decision.explanation),
        **_plain(decision, DECISION_PLAIN_FIELDS),
    )


def beliefs_to_msg(beliefs: Beliefs) -> msg.Beliefs:
    """A Beliefs message."""
    return msg.Beliefs(
        capacity_quantiles_bps=beliefs.capacity_quantiles_bps,
        operating_points=[operating_point_to_msg(p) for p in beliefs.operating_points],
        **_plain(beliefs, BELIEFS_PLAIN_FIELDS),
    )


def device_to_msg(device: DeviceModel) -> msg.Device:
    """A Device message."""
    return msg.Device(**_plain(device, plain_fields(DeviceModel, 'rated_power_w')))


def slot_state_to_msg(state: SlotState, device: DeviceModel, header: Header) -> msg.SlotState:
    """A SlotState message."""
    return msg.SlotState(
        header=header,
        drop_reasons=list(state.drop_counts),
        drop_counts=list(state.drop_counts.values()),
        processed=[allocation_to_msg(a) for a in state.processed],
        operating_points=[operating_point_to_msg(p) for p in state.operating_points],
        device=device_to_msg(device),
        beliefs=beliefs_to_msg(state.beliefs),
        **_plain(state, SLOT_STATE_PLAIN_FIELDS),
    )


def settings_to_msg(
    settings: ControlSettings, header: Header, **more: Any
) -> msg.ControllerSettings:
    """A ControllerSettings message; ``more``: its fields that ControlSettings lacks."""
    return msg.ControllerSettings(
        header=header, **_plain(settings, plain_fields(ControlSettings)), **more
    )


def _plain(data: DataclassInstance, names: Sequence[str]) -> dict[str, Any]:
    """Fields as messages hold them: a whole number or NumPy's as a float would abort in C."""
    kinds = {field.name: field.type for field in dataclasses.fields(data)}
    return {name: _settable(getattr(data, name), kinds[name]) for name in names}


def _settable(value: Any, kind: Any) -> Any:
    if kind == 'float':
        return float(value)
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value
