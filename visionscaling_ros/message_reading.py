"""Messages as plain data, whether rclpy received them or they were read out of a bag.

Only attributes are read, so no message type is imported.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from visionscaling_ros.datatypes import (
    Allocation,
    Beliefs,
    Binding,
    Detections,
    Explanation,
    OperatingPoint,
    Origin,
    SlotDecision,
    SlotState,
)

NANOSECONDS = 1_000_000_000
DEFAULT_SLOT_S = 1.0  # of decisions that do not say how long they are for

Plain = TypeVar('Plain')


def plain_fields(data_type: type[Any], *composed: str) -> tuple[str, ...]:
    """Names of the fields that a data type and its message have alike, all but ``composed``."""
    return tuple(f.name for f in dataclasses.fields(data_type) if f.name not in composed)


BELIEFS_PLAIN_FIELDS = plain_fields(Beliefs, 'capacity_quantiles_bps', 'operating_points')
DECISION_PLAIN_FIELDS = plain_fields(SlotDecision, 'allocations', 'explanation')
EXPLANATION_PLAIN_FIELDS = plain_fields(Explanation, 'binding_constraints', 'runner_up')
OPERATING_POINT_FIELDS = plain_fields(OperatingPoint)
SLOT_STATE_PLAIN_FIELDS = plain_fields(
    SlotState, 'drop_counts', 'processed', 'operating_points', 'beliefs'
)


def stamp_to_ns(stamp: Any) -> int:
    """A stamp as nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def slot_duration_s(message: Any) -> float:
    """How long a SlotDecision is meant to be in force [s]; DEFAULT_SLOT_S if it does not say."""
    return message.duration_s if 0.0 < message.duration_s < math.inf else DEFAULT_SLOT_S


def msg_to_allocation(message: Any) -> Allocation:
    """An Allocation; raises ValueError for an unknown origin."""
    return Allocation(
        message.model,
        message.input_size_px,
        Origin(message.origin),
        message.rate_fps,
        message.cut,
    )


def msg_to_operating_point(message: Any) -> OperatingPoint:
    """An OperatingPoint."""
    return OperatingPoint(*[getattr(message, name) for name in OPERATING_POINT_FIELDS])


def msg_to_explanation(message: Any) -> Explanation:
    """An Explanation; raises ValueError for an unknown origin."""
    return Explanation(
        binding_constraints=Binding(message.binding_constraints),
        runner_up=tuple(msg_to_allocation(a) for a in message.runner_up),
        **_plain(message, EXPLANATION_PLAIN_FIELDS),
    )


def msg_to_decision(message: Any) -> SlotDecision:
    """A SlotDecision; raises ValueError for an unknown origin."""
    return SlotDecision(
        allocations=tuple(msg_to_allocation(a) for a in message.allocations),
        explanation=msg_to_explanation(message.explanation),
        **_plain(message, DECISION_PLAIN_FIELDS),
    )


def msg_to_beliefs(message: Any) -> Beliefs:
    """What the controller expected."""
    return Beliefs(
        capacity_quantiles_bps=tuple(message.capacity_quantiles_bps.tolist()),
        operating_points=tuple(msg_to_operating_point(p) for p in message.operating_points),
        **_plain(message, BELIEFS_PLAIN_FIELDS),
    )


def msg_to_slot_state(message: Any) -> SlotState:
    """A SlotState; raises ValueError for an unknown origin."""
    return SlotState(
        drop_counts=dict(zip(message.drop_reasons, message.drop_counts.tolist(), strict=True)),
        processed=tuple(msg_to_allocation(a) for a in message.processed),
        operating_points=tuple(msg_to_operating_point(p) for p in message.operating_points),
        beliefs=msg_to_beliefs(message.beliefs),
        **_plain(message, SLOT_STATE_PLAIN_FIELDS),
    )


def msgs_to_detections(messages: Sequence[Any]) -> Detections:
    """Detections of messages."""
    if not messages:
        return Detections.empty()
    return Detections(
        np.array([[m.x_min, m.y_min, m.x_max, m.y_max] for m in messages], np.float32),
        np.array([m.score for m in messages], np.float32),
        np.array([m.class_id for m in messages], np.int64),
    )


def fill(data_type: type[Plain], message: Any, *composed: str) -> Plain:
    """A dataclass whose fields, all but ``composed``, the message has under the same names.

    Arrays become tuples.
    """
    return data_type(
        **{name: _tupled(getattr(message, name)) for name in plain_fields(data_type, *composed)}
    )


def _tupled(value: Any) -> Any:
    if hasattr(value, 'tolist'):
        return tuple(value.tolist())
    return tuple(value) if isinstance(value, list) else value


def _plain(message: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(message, name) for name in names}
