"""QoS that publishers offer: what to ask of them, and how a bag has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

NANOSECONDS = 10**9


def qos_to_ask(offered: Sequence[QoSProfile], depth: int) -> QoSProfile:
    """What a subscription asks that every publisher shall match.

    Reliable, or transient local, where all offer it, as rosbag2's ``adapt_request_to_offers``.
    """
    reliable = all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
    latched = all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def qos_for_bag(offered: QoSProfile) -> Qos:
    """The same as rosbags writes it; its numbers are those of rmw."""
    return Qos(
        _same(QosHistory, offered.history),
        offered.depth,
        _same(QosReliability, offered.reliability),
        _same(QosDurability, offered.durability),
        _time(offered.deadline),
        _time(offered.lifespan),
        _same(QosLiveliness, offered.liveliness),
        _time(offered.liveliness_lease_duration),
        offered.avoid_ros_namespace_conventions,
    )


def _same(policy: Any, value: Any) -> Any:
    """A value rosbags does not know becomes UNKNOWN."""
    return policy(int(value)) if int(value) in {int(p.value) for p in policy} else policy.UNKNOWN


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, NANOSECONDS))
