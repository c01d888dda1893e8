"""All that was measured, brought down to medians and how far the figures spread."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.profiling.journal import Record
from visionscaling_ros.profiling.schedule import Candidate, IdleVisit, JpegVisit, Plan, PointVisit


@dataclass(frozen=True)
class Spread:
    """Median and the tenths below and above which a tenth of the samples lies."""

    median: float
    p10: float
    p90: float
    samples: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one sample."""
        p10, median, p90 = (float(value) for value in np.quantile(values, (0.1, 0.5, 0.9)))
        return cls(median, p10, p90, len(values))


@dataclass(frozen=True)
class Power:
    """What a meter read over some turns: mean power [W] and share of the time that was busy."""

    power_w: float
    utilization: float


@dataclass(frozen=True)
class FrameTime:
    """Time of a frame in the network, and before and after it [s]."""

    network_s: float
    serial_s: float

    @property
    def latency_s(self) -> float:
        """Both."""
        return self.network_s + self.serial_s


@dataclass(frozen=True)
class PointFigures:
    """A candidate at a clock, over ``rounds`` turns.

    :param latency_s: of all frames.
    :param undisturbed: medians of the fastest frame of a turn, over the faster half of the turns.
        Other programs only ever take time away, so this is what the fits go by; with nothing else
        running it hardly differs from the median of all frames.
    """

    candidate: Candidate
    frequency_hz: float
    latency_s: Spread
    undisturbed: FrameTime
    power: Power
    rounds: int


@dataclass(frozen=True)
class JpegFigures:
    """Frames of a kind, shrunk to an input size and encoded."""

    input_size_px: int
    frames: str
    size_bytes: Spread
    encode_s: Spread


@dataclass(frozen=True)
class Summary:
    """What is known of a device.

    :param points: in the order of the plan's candidates, then by rising clock.
    :param idle: power at a clock [Hz] while nothing runs.
    :param gflops: billions of multiplications and additions of (model, input size), where counted.
    :param failed: why a candidate is left out.
    """

    points: tuple[PointFigures, ...]
    jpegs: tuple[JpegFigures, ...]
    idle: Mapping[float, Power]
    gflops: Mapping[tuple[str, int], float]
    failed: Mapping[Candidate, str]

    def of(self, candidate: Candidate) -> tuple[PointFigures, ...]:
        """A candidate at the clocks it was measured at, ascending."""
        return tuple(point for point in self.points if point.candidate == candidate)

    def fastest(self, model: str, input_size_px: int) -> Candidate | None:
        """The candidate with the least latency at the highest clock; None if none was measured."""
        own = [p for p in self.points
               if (p.candidate.model, p.candidate.input_size_px) == (model, input_size_px)]
        if not own:
            return None
        highest_hz = max(point.frequency_hz for point in own)
        at_highest = (point for point in own if point.frequency_hz == highest_hz)
        return min(at_highest, key=lambda point: point.undisturbed.latency_s).candidate


def summarize(plan: Plan, records: Mapping[int, Record]) -> Summary:
    """Medians over all rounds; a candidate that failed in any turn is left out of the points."""
    failed: dict[Candidate, str] = {}
    gflops: dict[tuple[str, int], float] = {}
    of_points: dict[PointVisit, list[Record]] = defaultdict(list)
    of_jpegs: dict[JpegVisit, list[Record]] = defaultdict(list)
    of_idle: dict[IdleVisit, list[Record]] = defaultdict(list)
    for turn in plan.turns():
        record = records.get(turn.number)
        if record is None:
            continue
        if isinstance(turn.visit, JpegVisit):
            of_jpegs[turn.visit].append(record)
        elif isinstance(turn.visit, IdleVisit):
            of_idle[turn.visit].append(record)
        elif record.failed:
            failed[turn.visit.candidate] = record.failed
        else:
            of_points[turn.visit].append(record)
            if 'gflops' in record.figures:
                candidate = turn.visit.candidate
                (gflops[candidate.model, candidate.input_size_px],) = record.figures['gflops']
    points = [
        _point(visit, own) for visit, own in of_points.items() if visit.candidate not in failed
    ]
    places = {candidate: place for place, candidate in enumerate(plan.candidates)}
    points.sort(key=lambda point: (places[point.candidate], point.frequency_hz))
    return Summary(
        points=tuple(points),
        jpegs=tuple(
            JpegFigures(
                visit.input_size_px,
                visit.frames,
                Spread.of(_all(own, 'size_bytes')),
                Spread.of(_all(own, 'encode_s')),
            )
            for visit, own in sorted(of_jpegs.items(), key=lambda item: item[0].input_size_px)
        ),
        idle={visit.frequency_hz: _power(own) for visit, own in of_idle.items()},
        gflops=gflops,
        failed=failed,
    )


def _point(visit: PointVisit, records: Sequence[Record]) -> PointFigures:
    turns = [_frame_times(record) for record in records]
    fastest = sorted((min(frames, key=_latency_s) for frames in turns), key=_latency_s)
    fastest = fastest[: (len(fastest) + 1) // 2]
    return PointFigures(
        candidate=visit.candidate,
        frequency_hz=visit.frequency_hz,
        latency_s=Spread.of([frame.latency_s for frames in turns for frame in frames]),
        undisturbed=FrameTime(
            float(np.median([frame.network_s for frame in fastest])),
            float(np.median([frame.serial_s for frame in fastest])),
        ),
        power=_power(records),
        rounds=len(records),
    )


def _latency_s(time: FrameTime) -> float:
    return time.latency_s


def _frame_times(record: Record) -> list[FrameTime]:
    times_s = zip(record.figures['network_s'], record.figures['serial_s'], strict=True)
    return [FrameTime(network_s, serial_s) for network_s, serial_s in times_s]


def _power(records: Sequence[Record]) -> Power:
    """NaN where the meter had a gap in every turn."""
    duration_s = sum(_all(records, 'duration_s')) or math.nan
    return Power(
        power_w=sum(_all(records, 'energy_j')) / duration_s,
        utilization=sum(_all(records, 'busy_s')) / duration_s,
    )


def _all(records: Iterable[Record], name: str) -> list[float]:
    return [value for record in records for value in record.figures.get(name, ())]
