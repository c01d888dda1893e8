"""Whether every frame of a robot gets exactly one fate, and whether results keep coming."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

# A frame whose fate has not been heard of this long after a later frame's is lost.
MISSING_S = 5.0
FATES = ('local', 'edge', 'dropped')


@dataclass(frozen=True)
class LedgerNotes:
    """What happened since the last notes.

    :param fates: frames by fate, those of FATES.
    :param arrived: frames that arrived.
    :param longest_gap_s: longest time without a processed frame [s].
    :param violations: what was not as it has to be, in words.
    """

    fates: dict[str, int]
    arrived: int
    longest_gap_s: float
    violations: tuple[str, ...]


class FateLedger:
    """Thread-safe; times are on the monotonic clock [s]. Frame numbers have no gaps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: int | None = None
        self._newest = 0
        self._awaited: dict[int, float] = {}  # skipped frame -> when a later one was heard of
        self._fates: Counter[str] = Counter()
        self._arrived = self._arrived_before = 0
        self._processed_s: float | None = None
        self._gap_s = 0.0
        self._violations: list[str] = []

    def add_fate(self, number: int, fate: str, now_s: float) -> None:
        """Enter the fate of a frame."""
        with self._lock:
            self._fates[fate] += 1
            if fate != 'dropped':
                self._end_gap(now_s)
                self._processed_s = now_s
            if self._first is None:
                self._first = self._newest = number
            elif number > self._newest:
                self._awaited.update(dict.fromkeys(range(self._newest + 1, number), now_s))
                self._newest = number
            elif number >= self._first and self._awaited.pop(number, None) is None:
                self._violations.append(f'frame {number} got a second fate: {fate}')

    def add_books(
        self, arrived: int, processed_local: int, processed_edge: int, dropped: int, in_flight: int
    ) -> None:
        """Enter what the robot says of all its frames."""
        with self._lock:
            self._arrived = arrived
            if arrived != processed_local + processed_edge + dropped + in_flight:
                self._violations.append(
                    f'{arrived} arrived, but {processed_local} local + {processed_edge} edge + '
                    f'{dropped} dropped + {in_flight} in flight'
                )

    def take(self, now_s: float) -> LedgerNotes:
        """What was noted since the last call."""
        with self._lock:
            self._end_gap(now_s)
            for number, since_s in list(self._awaited.items()):
                if now_s - since_s > MISSING_S:
                    del self._awaited[number]
                    self._violations.append(f'frame {number} got no fate')
            notes = LedgerNotes(
                {fate: self._fates[fate] for fate in FATES},
                self._arrived - self._arrived_before,
                self._gap_s,
                tuple(self._violations),
            )
            self._fates.clear()
            self._violations.clear()
            self._arrived_before = self._arrived
            self._gap_s = 0.0
            return notes

    def _end_gap(self, now_s: float) -> None:
        if self._processed_s is not None:
            self._gap_s = max(self._gap_s, now_s - self._processed_s)
