"""What one fault did to the robot."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FaultRecord:
    """One row of the campaign's log.

    :param seconds: from the fault to the moment its cause was gone and what it killed was back.
    :param slots_to_resume: slots from then until the first frame was answered by the edge server;
        None if none was.
    :param longest_gap_slots: longest time without a processed frame, wherever it ran.
    :param violations: what was not as it has to be, in words; empty: passed.
    """

    number: int
    kind: str
    seconds: float
    slots_to_resume: int | None
    longest_gap_slots: float
    arrived: int
    local: int
    edge: int
    dropped: int
    violations: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all was as it has to be."""
        return not self.violations


@dataclass(frozen=True)
class KindSummary:
    """All faults of one kind."""

    kind: str
    count: int
    passed: int
    median_slots: float | None
    max_slots: int | None
    max_gap_slots: float
    arrived: int
    dropped: int


def summarize(records: Sequence[FaultRecord]) -> list[KindSummary]:
    """By kind, in the order they came first."""
    kinds = dict.fromkeys(record.kind for record in records)
    return [_summary(kind, [r for r in records if r.kind == kind]) for kind in kinds]


def _summary(kind: str, records: Sequence[FaultRecord]) -> KindSummary:
    slots = [r.slots_to_resume for r in records if r.slots_to_resume is not None]
    return KindSummary(
        kind,
        len(records),
        sum(r.passed for r in records),
        statistics.median(slots) if slots else None,
        max(slots, default=None),
        max(r.longest_gap_slots for r in records),
        sum(r.arrived for r in records),
        sum(r.dropped for r in records),
    )
