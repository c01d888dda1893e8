"""What is known of a robot at one moment, and what it comes to."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, SlotDecision, SlotState
from visionscaling_ros.watch.readings import (
    ERROR,
    OK,
    STALE,
    WARN,
    GpuReading,
    InferenceReading,
    LinkReading,
    Status,
)


class Condition(enum.Enum):
    """How a robot is, the worst that holds."""

    GONE = 'gone'  # nobody publishes its topics any more
    SILENT = 'silent'  # its nodes are there, but nothing comes
    STARTING = 'starting'  # no slot has ended yet
    UNDECIDED = 'undecided'  # nodes speak, the controller does not
    FALLBACK = 'fallback'  # no fresh decision: the safe configuration runs
    ERROR = 'error'  # a node tells of an error
    WARNING = 'warning'  # a node warns
    LIVE = 'live'


@dataclass(frozen=True)
class Sample:
    """A slot in the history; NaN: not known."""

    processed_fps: float = math.nan
    power_w: float = math.nan
    achieved_map: float = math.nan
    capacity_bps: float = math.nan


@dataclass(frozen=True)
class RobotView:
    """A robot as it is known now.

    :param namespace: '' for the root, otherwise with its leading slash.
    :param present: somebody publishes its topics.
    :param silence_s: time since its last message of any kind [s]; infinite: there was none.
    :param slot_silence_s: time since its last slot_state [s]; infinite: there was none.
    :param patience_s: a silence longer than this is one [s].
    :param ages_s: time since the last message by topic [s].
    :param restarted_s: time since it was started anew [s]; infinite: not while it was watched.
    :param not_understood: messages whose content was none.
    :param history: the slots of the last minute, the oldest first.
    """

    namespace: str
    present: bool = True
    silence_s: float = math.inf
    slot_silence_s: float = math.inf
    patience_s: float = 3.0
    ages_s: Mapping[str, float] = field(default_factory=dict)
    restarted_s: float = math.inf
    not_understood: int = 0
    state: SlotState | None = None
    decision: SlotDecision | None = None
    settings: ControlSettings | None = None
    gpu: GpuReading | None = None
    link: LinkReading | None = None
    inference: InferenceReading | None = None
    statuses: tuple[Status, ...] = ()
    history: tuple[Sample, ...] = ()

    @property
    def condition(self) -> Condition:
        """How it is."""
        worst = max((s.level for s in self.statuses), default=OK)
        for holds, condition in (
            (not self.present, Condition.GONE),
            (self.silence_s > self.patience_s and math.isfinite(self.silence_s), Condition.SILENT),
            (self.state is None, Condition.STARTING),
            (self.slot_silence_s > self.patience_s, Condition.UNDECIDED),
            (self.inference is not None and self.inference.fallback, Condition.FALLBACK),
            (worst in (ERROR, STALE), Condition.ERROR),
            (worst == WARN, Condition.WARNING),
        ):
            if holds:
                return condition
        return Condition.LIVE

    @property
    def processed_fps(self) -> float:
        """Frames processed a second, here and at the edge [1/s]."""
        if self.state is None:
            return math.nan
        return self.state.processed_local_fps + self.state.processed_edge_fps

    @property
    def energy_per_frame_j(self) -> float:
        """Energy of a processed frame [J]; NaN where nothing was processed."""
        if self.state is None or not self.processed_fps > 0.0:
            return math.nan
        return self.state.power_w / self.processed_fps

    @property
    def main_drop_reason(self) -> str:
        """Why most of the slot's dropped frames were; '' without any."""
        counts = self.state.drop_counts if self.state is not None else {}
        reason = max(counts, key=lambda name: counts[name], default='')
        return reason if counts.get(reason, 0) > 0 else ''

    @property
    def accuracy_target_map(self) -> float:
        """The mAP it is to reach [-]; NaN before its settings came."""
        return self.settings.accuracy_target_map if self.settings is not None else math.nan

    @property
    def capacity_bps(self) -> float:
        """Estimated capacity of the uplink [bit/s]."""
        if self.link is not None:
            return self.link.capacity_bps
        return self.state.uplink_capacity_bps if self.state is not None else math.nan

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """What is to run; in fallback, what really ran."""
        if self.inference is not None and (self.inference.fallback or self.decision is None):
            return self.inference.allocations
        return self.decision.allocations if self.decision is not None else ()

    @property
    def warnings(self) -> tuple[Status, ...]:
        """Statuses that are not OK, the worst first."""
        return tuple(sorted((s for s in self.statuses if s.level != OK), key=lambda s: -s.level))

    def is_stale(self, topic: str) -> bool:
        """Whether the newest message of a topic is older than should be."""
        return self.ages_s.get(topic, 0.0) > self.patience_s
