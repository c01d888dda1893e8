"""What is recorded of one run of the demo."""

from __future__ import annotations

from dataclasses import dataclass, field

from visionscaling_ros.datatypes import Allocation, Detections, Origin, SlotState


@dataclass(frozen=True)
class SlotRow:
    """One slot: what was decided for it and what happened."""

    state: SlotState
    decided: tuple[Allocation, ...]


@dataclass(frozen=True)
class FrameRecord:
    """One processed frame."""

    stamp_ns: int
    origin: Origin
    latency_s: float
    detections: Detections
    accuracy_map: float  # of its configuration, from the accuracy table


@dataclass(frozen=True)
class Counters:
    """The nodes' counters at one moment."""

    processed_local: int = 0
    processed_edge: int = 0
    dropped: int = 0
    drop_counts: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    energy_j: float = 0.0
    uptime_s: float = 0.0


@dataclass
class RunRecord:
    """One run: the counters at its begin and end, and every slot and frame between."""

    policy: str
    begin: Counters = field(default_factory=Counters)
    end: Counters = field(default_factory=Counters)
    slots: list[SlotRow] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    truths: dict[int, Detections] = field(default_factory=dict)
