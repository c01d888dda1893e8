"""The decisions that changed something, in words."""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.datatypes import Allocation, SlotDecision
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.wording import moment, number
from visionscaling_ros.watch.explanation_words import decision_sentences
from visionscaling_ros.watch.words import by_share, configuration_words

MOST_ROWS = 100


@dataclass(frozen=True)
class DecisionRow:
    """A decision that is another than the one before.

    :param change: how far it is from it; a wholly other allocation or clock counts 1.
    """

    change: float
    at_s: float
    moment: str
    slot: int
    plan: str
    clock: str
    why: str


@dataclass(frozen=True)
class DecisionTable:
    """At most ``MOST_ROWS`` rows, those of the largest changes; ``left_out`` are not shown."""

    rows: tuple[DecisionRow, ...]
    left_out: int


def decision_table(view: RunView) -> DecisionTable:
    """In the order of time; the first decision of the run is one of them."""
    found: list[DecisionRow] = []
    before: SlotDecision | None = None
    for slot, begin_s in zip(view.series.slots, view.series.begin_s.tolist(), strict=True):
        decision = slot.decision
        if decision is None:
            continue
        if before is None or plan_changed(before, decision):
            found.append(_row(decision, before, begin_s))
        before = decision
    kept = sorted(found, key=lambda row: row.change, reverse=True)[:MOST_ROWS]
    kept.sort(key=lambda row: row.at_s)
    return DecisionTable(tuple(kept), len(found) - len(kept))


def plan_changed(before: SlotDecision, after: SlotDecision) -> bool:
    """Whether configurations, places or the GPU clock differ; rates alone do not count."""
    return before.gpu_frequency_hz != after.gpu_frequency_hz or _kinds(before) != _kinds(after)


def _kinds(decision: SlotDecision) -> set[tuple[str, int, int, int]]:
    return {(a.model, a.input_size_px, int(a.origin), a.cut) for a in decision.allocations}


def _row(decision: SlotDecision, before: SlotDecision | None, begin_s: float) -> DecisionRow:
    clock_hz = decision.gpu_frequency_hz
    return DecisionRow(
        change=_distance(before, decision),
        at_s=begin_s,
        moment=moment(begin_s),
        slot=decision.slot,
        plan='; '.join(_words(a) for a in by_share(decision.allocations)) or 'nothing is run',
        clock=f'{number(clock_hz * 1e-6, 4)} MHz' if clock_hz > 0.0 else 'left to the device',
        why=decision_sentences(decision),
    )


def _words(allocation: Allocation) -> str:
    return f'{number(allocation.rate_fps)} frames/s of {configuration_words(allocation)}'


def _distance(before: SlotDecision | None, after: SlotDecision) -> float:
    """Half the sum of what shares differ by, and how far the clock moved; 2 for the first."""
    if before is None:
        return 2.0
    old, new = _shares(before), _shares(after)
    moved = sum(abs(new.get(key, 0.0) - old.get(key, 0.0)) for key in old.keys() | new.keys())
    clocks = before.gpu_frequency_hz, after.gpu_frequency_hz
    highest = max(*clocks, 1.0)
    return 0.5 * moved + abs(clocks[1] - clocks[0]) / highest


def _shares(decision: SlotDecision) -> dict[tuple[str, int, int], float]:
    total = sum(a.rate_fps for a in decision.allocations) or 1.0
    shares: dict[tuple[str, int, int], float] = {}
    for a in decision.allocations:
        key = a.model, a.input_size_px, int(a.origin)
        shares[key] = shares.get(key, 0.0) + a.rate_fps / total
    return shares
