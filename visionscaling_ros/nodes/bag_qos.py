"""From the QoS a bag recorded to that of a publisher that plays it."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosTime

# Nothing is overwritten before it was acknowledged, and a subscriber that hangs costs bounded
# memory: with images of 640x480, 60 MB.
DEPTH, LARGE_DEPTH = 4000, 64
MAX_LATCHED = 1000
FOREVER_S = 2**31 - 1  # and beyond: what DDS calls infinite


def playback_qos(recorded: Sequence[Qos], *, large: bool) -> QoSProfile:
    """What to offer for a topic; serves every subscription that the recorded publishers served.

    Reliable whatever was recorded: that suits subscriptions of either kind. Transient local only
    if every publisher was, with as many messages as all of them kept, so that who comes late gets
    what it got then, such as ``/tf_static`` of several nodes.

    :param recorded: one of each publisher.
    :param large: its messages are images and the like.
    """
    latched = bool(recorded) and all(
        qos.durability == QosDurability.TRANSIENT_LOCAL for qos in recorded
    )
    depth = LARGE_DEPTH if large else DEPTH
    if latched:
        depth = min(MAX_LATCHED, sum(map(_latched_depth, recorded)))
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    if len(set(recorded)) != 1:
        return profile  # of several publishers the rest of none is followed
    only = recorded[0]
    for name in ('deadline', 'lifespan', 'liveliness_lease_duration'):
        value = getattr(only, name)
        if 0 < _seconds(value) < FOREVER_S:
            setattr(profile, name, Duration(seconds=value.sec, nanoseconds=value.nsec))
    if only.liveliness == QosLiveliness.MANUAL_BY_TOPIC:
        profile.liveliness = LivelinessPolicy.MANUAL_BY_TOPIC
    return profile


def _latched_depth(qos: Qos) -> int:
    if qos.history == QosHistory.KEEP_ALL:
        return MAX_LATCHED
    return max(1, qos.depth)  # 0: not told; discovery tells recorders nothing of it


def _seconds(value: QosTime) -> float:
    return float(value.sec + value.nsec / 1e9)
