"""What nodes of a robot tell of themselves, as far as people watch it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from visionscaling_ros.datatypes import Allocation
from visionscaling_ros.message_reading import fill, msg_to_allocation

OK, WARN, ERROR, STALE = range(4)  # levels of diagnostic_msgs/DiagnosticStatus


@dataclass(frozen=True)
class GpuReading:
    """Of ``msg/GpuState.msg``, units as there."""

    frequency_hz: float = math.nan
    set_frequency_hz: float = 0.0
    available_frequencies_hz: tuple[float, ...] = ()
    ceiling_frequency_hz: float = math.inf
    throttle_reason: str = ''
    temperature_c: float = math.nan
    power_source: str = ''


@dataclass(frozen=True)
class LinkReading:
    """Of ``msg/LinkState.msg``, units as there."""

    server: str = ''
    reachable: bool = False
    circuit: str = ''
    goodput_bps: float = math.nan
    capacity_bps: float = math.nan
    rtt_s: float = math.nan
    loss: float = math.nan


@dataclass(frozen=True)
class InferenceReading:
    """Of ``msg/InferenceState.msg``, units as there; ``allocations``: what ran in its last second.

    A count that went back tells of a restart.
    """

    uptime_s: float = math.nan
    fallback: bool = False
    arrived: int = 0
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True)
class Status:
    """A status of ``/diagnostics``; ``name``: of the node, its namespace left out."""

    name: str
    level: int
    words: str


def inference_reading(message: Any) -> InferenceReading:
    """An InferenceState; raises ValueError for an unknown origin."""
    return dataclasses.replace(
        fill(InferenceReading, message, 'allocations'),
        allocations=tuple(msg_to_allocation(a) for a in message.allocations),
    )


def robot_of_status(message: Any) -> str | None:
    """Namespace of the robot that a DiagnosticStatus is about; None: of no node of this package.

    A node of this package puts its namespace into ``hardware_id`` and before its name.
    """
    namespace = str(message.hardware_id).rstrip('/')
    ours = str(message.hardware_id).startswith('/') and message.name.startswith(f'{namespace}/')
    return namespace if ours else None


def status_reading(message: Any) -> Status:
    """A DiagnosticStatus; its level is a byte in rclpy and a number in a bag."""
    level = message.level[0] if isinstance(message.level, bytes) else int(message.level)
    name = str(message.name).removeprefix(f'{robot_of_status(message) or ""}/')
    return Status(name, level, str(message.message))
