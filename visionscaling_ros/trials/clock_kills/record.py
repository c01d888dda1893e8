"""What one round of kills did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

AS_FOUND, SET, HALFWAY = 'as found', 'set', 'halfway'
LEFT = (AS_FOUND, SET, HALFWAY)


@dataclass(frozen=True)
class RoundRecord:
    """One row of the campaign's log.

    :param victims: who was killed, in words.
    :param moments: what they were doing.
    :param left: how the tree was right after each kill, one of LEFT.
    :param writes: writes to the tree in this round.
    :param restored_s: from the last start until all was as found; None if it never was.
    :param violations: what was not as it has to be, in words; empty: passed.
    :param governor: somebody else had written another governor.
    :param crossing: the other way's processes took over, and were killed too.
    """

    number: int
    way: str
    victims: str
    moments: tuple[str, ...]
    left: tuple[str, ...]
    writes: int
    restored_s: float | None
    violations: tuple[str, ...]
    governor: bool = False
    crossing: bool = False

    @property
    def kind(self) -> str:
        """Who was killed, in words that rounds of the same kind share."""
        return 'all, both ways' if self.crossing else self.victims


@dataclass(frozen=True)
class WaySummary:
    """All rounds of one way and one kind of victims."""

    way: str
    victims: str
    kills: int
    rounds: int
    passed: int
    left: dict[str, int]
    writes: int
    restored_max_s: float


def summarize(records: Sequence[RoundRecord]) -> list[WaySummary]:
    """By way and victims, in the order they came first."""
    kinds = dict.fromkeys((record.way, record.kind) for record in records)
    return [
        _summary(way, kind, [r for r in records if (r.way, r.kind) == (way, kind)])
        for way, kind in kinds
    ]


def _summary(way: str, victims: str, records: Sequence[RoundRecord]) -> WaySummary:
    left = [words for record in records for words in record.left]
    return WaySummary(
        way,
        victims,
        len(left),
        len(records),
        sum(not record.violations for record in records),
        {words: left.count(words) for words in LEFT},
        sum(record.writes for record in records),
        max((r.restored_s for r in records if r.restored_s is not None), default=0.0),
    )
