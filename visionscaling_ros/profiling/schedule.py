"""In which order a device is measured: rounds over everything, each in an order of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError


@dataclass(frozen=True)
class Candidate:
    """One way to run an operating point."""

    model: str
    input_size_px: int
    engine: str

    def __str__(self) -> str:
        return f'{self.model} {self.input_size_px} px {self.engine}'


@dataclass(frozen=True)
class PointVisit:
    """Run a few frames through a candidate at a clock."""

    candidate: Candidate
    frequency_hz: float

    def __str__(self) -> str:
        return f'{self.candidate} {self.frequency_hz * 1e-6:.0f} MHz'


@dataclass(frozen=True)
class JpegVisit:
    """Encode frames of a kind for upload at an input size."""

    input_size_px: int
    frames: str

    def __str__(self) -> str:
        return f'JPEG {self.input_size_px} px'


@dataclass(frozen=True)
class IdleVisit:
    """Do nothing at a clock."""

    frequency_hz: float

    def __str__(self) -> str:
        return f'idle {self.frequency_hz * 1e-6:.0f} MHz'


Visit = PointVisit | JpegVisit | IdleVisit


@dataclass(frozen=True)
class Turn:
    """A visit and its place: number over all rounds, and round."""

    number: int
    round: int
    visit: Visit


@dataclass(frozen=True)
class Plan:
    """What is measured, in turns that depend on nothing but this.

    The first round is coarse: uploads, everything at the highest clock, then at the lowest, so
    that even a short time says something of every candidate. In every later one all that there
    is to measure has one turn in an order drawn anew, so that drift of the machine hits all alike.

    :param levels_hz: clocks, ascending.
    :param frames: kinds of frames to encode.
    """

    candidates: tuple[Candidate, ...]
    levels_hz: tuple[float, ...]
    frames: tuple[str, ...]
    seed: int
    rounds: int

    def turns(self) -> Iterator[Turn]:
        """Every visit in its turn."""
        number = 0
        for round_number in range(self.rounds):
            for visit in self._round(round_number):
                yield Turn(number, round_number, visit)
                number += 1

    def __len__(self) -> int:
        """Number of turns."""
        coarse = len(self._round(0))
        full = len(self.levels_hz) * (len(self.candidates) + 1) + len(self._jpegs())
        return coarse + (self.rounds - 1) * full

    def _round(self, round_number: int) -> list[Visit]:
        order = random.Random(f'{self.seed}/{round_number}')
        if round_number == 0:
            extremes_hz = dict.fromkeys((self.levels_hz[-1], self.levels_hz[0]))
            parts = [self._jpegs(), *(self._at(level) for level in extremes_hz)]
        else:
            parts = [[v for level in self.levels_hz for v in self._at(level)] + self._jpegs()]
        for part in parts:
            order.shuffle(part)
        return [visit for part in parts for visit in part]

    def _at(self, frequency_hz: float) -> list[Visit]:
        points = [PointVisit(candidate, frequency_hz) for candidate in self.candidates]
        return [*points, IdleVisit(frequency_hz)]

    def _jpegs(self) -> list[Visit]:
        sizes_px = sorted({candidate.input_size_px for candidate in self.candidates})
        return [JpegVisit(size_px, kind) for size_px in sizes_px for kind in self.frames]


def spread_levels(levels_hz: Sequence[float], count: int) -> tuple[float, ...]:
    """``count`` of the ascending levels, lowest and highest among them, evenly spread by place.

    All of them where there are no more; the highest where ``count`` is 1.

    >>> spread_levels((1.0, 2.0, 3.0, 4.0, 5.0), 3)
    (1.0, 3.0, 5.0)

    Raises InvalidValueError for a count below 1.
    """
    if count < 1:
        raise InvalidValueError('levels', count, '1 or more')
    last = len(levels_hz) - 1
    if count == 1:
        return (levels_hz[last],)
    places = range(last + 1) if count > last else (
        round(k * last / (count - 1)) for k in range(count)
    )  # fmt: skip
    return tuple(levels_hz[place] for place in places)
