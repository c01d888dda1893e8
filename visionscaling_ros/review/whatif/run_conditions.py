"""What a recorded robot met, whatever it decided, slot by slot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotState
from visionscaling_ros.review.whatif.gaps import filled
from visionscaling_ros.review.whatif.slot_series import Mask, Series
from visionscaling_ros.simulation.latency_book import RTT_S

Points = tuple[OperatingPoint, ...]

_LOCAL_COSTS = ('gpu_work_ghz_s', 'serial_s')
_EDGE_COSTS = ('upload_bits', 'server_time_s')
_MOST_S = 1e3
_FRESH_SLOTS = 1.5  # a capacity sample of this age at most is of the slot that it is told in


@dataclass(frozen=True, eq=False)
class RunConditions:
    """Arrays of shape (T,); nothing in them depends on what was decided, but for one thing.

    The uplink's capacity is only measured while something is sent; where it was not, it lies on
    the line (of the logarithm) between the slots where it was.

    :param capacity_bps: 0 while the edge did not answer [bit/s].
    :param capacity_known: measured in that very slot.
    """

    arrival_fps: Series
    capacity_bps: Series
    capacity_known: Mask
    reachable: Mask
    server_share: Series
    rtt_s: Series
    temperature_c: Series

    @classmethod
    def of(cls, states: Sequence[SlotState]) -> RunConditions:
        """What the states tell."""

        def column(name: str) -> Series:
            return np.array([getattr(s, name) for s in states], np.float64)

        reachable = column('edge_reachable') > 0.0
        known, capacity_bps = _capacity(column, reachable)
        return cls(
            arrival_fps=np.maximum(filled(column('arrival_fps'), default=0.0), 0.0),
            capacity_bps=np.where(reachable, capacity_bps, 0.0),
            capacity_known=known,
            reachable=reachable,
            server_share=np.clip(filled(column('server_share'), default=1.0), 0.0, 1.0),
            rtt_s=np.maximum(filled(column('rtt_s'), default=RTT_S), 0.0),
            temperature_c=column('gpu_temperature_c'),
        )


def _capacity(column: Callable[[str], Series], reachable: Mask) -> tuple[Mask, Series]:
    """Which slots it was measured in, and what it was in each [bit/s]."""
    told_bps = column('uplink_capacity_bps')
    fresh = column('uplink_capacity_age_s') <= _FRESH_SLOTS * column('duration_s')
    known = fresh & reachable & np.isfinite(told_bps) & (told_bps > 0.0)
    measured = np.where(known, np.log(np.where(known, told_bps, 1.0)), np.nan)
    if not known.any():
        return known, np.zeros(len(told_bps))
    between_bps = np.exp(filled(measured, default=0.0))
    return known, np.maximum(between_bps, np.nan_to_num(column('uplink_throughput_bps')))


def points_by_slot(
    states: Sequence[SlotState], kept: Mask, at_first: Points, top_hz: float
) -> tuple[Points, ...]:
    """Every configuration the run ever offered, with its costs as known in each slot.

    A robot learns what frames cost while they run. So in a slot that is not kept a configuration
    costs what it was told to cost in the last slot kept before any that is not ran it there, on
    the robot or at the edge. What is not known at first (a size or a time of 0) has what it turned
    out to be first; a server time that was never learned is as much longer or shorter than the
    robot's as those that were.

    :param at_first: configurations as known before the first slot; where the bag begins later, in
        its first.
    :param top_hz: highest clock of the robot [Hz].
    """
    slots = np.flatnonzero(kept)
    first = {_key(p): _sensible(p) for p in at_first}
    for t in slots.tolist():
        for point in states[t].operating_points:
            key = _key(point)
            first[key] = _sensible(point) if key not in first else _completed(first[key], point)
    untouched = {key: first[key] for key in sorted(first)}
    untouched.update({_key(p): _sensible(p) for p in at_first})
    known = {key: first[key] for key in untouched}
    ran: set[tuple[tuple[str, int], bool]] = set()
    told: list[Points] = []
    last: object = None
    for t, state in enumerate(states):
        if not kept[t]:
            if t == 0 or kept[t - 1]:
                told.append(_with_server_times(untouched.values(), top_hz))
            else:
                told.append(told[-1])
            ran |= {(_key(a), a.origin is Origin.LOCAL) for a in state.processed}
            last = None
        elif state.operating_points != last:
            last = state.operating_points
            for point in state.operating_points:
                key = _key(point)
                known[key] = _completed(point, first[key])
                untouched[key] = _untouched(untouched[key], point, key, ran)
            told.append(_with_server_times(known.values(), top_hz))
        else:
            told.append(told[-1])
    return tuple(told)


def _key(point: OperatingPoint | Allocation) -> tuple[str, int]:
    return point.model, point.input_size_px


def _untouched(
    before: OperatingPoint,
    told: OperatingPoint,
    key: tuple[str, int],
    ran: set[tuple[tuple[str, int], bool]],
) -> OperatingPoint:
    """``told``, but ``before`` where slots that are not kept had a say."""
    changes: dict[str, float] = {}
    for names, local in ((_LOCAL_COSTS, True), (_EDGE_COSTS, False)):
        if (key, local) in ran:
            changes.update({name: getattr(before, name) for name in names})
    return _completed(dataclasses.replace(told, **changes), before)  # type: ignore[arg-type]


def _with_server_times(points: Iterable[OperatingPoint], top_hz: float) -> Points:
    """Server times that nobody knows from the others'."""
    points = tuple(points)
    ratios = [
        p.server_time_s / p.local_latency_s(top_hz)
        for p in points
        if p.server_time_s > 0.0 and p.local_latency_s(top_hz) > 0.0
    ]
    ratio = float(np.median(ratios)) if ratios else 1.0
    return tuple(
        p
        if p.server_time_s > 0.0
        else dataclasses.replace(p, server_time_s=min(ratio * p.local_latency_s(top_hz), _MOST_S))
        for p in points
    )


def _completed(point: OperatingPoint, other: OperatingPoint) -> OperatingPoint:
    """``point`` with what it does not know from ``other``; figures that make no sense become 0."""
    figures: dict[str, Any] = {}
    for name in ('accuracy_map', *_LOCAL_COSTS, *_EDGE_COSTS):
        value, instead = getattr(point, name), getattr(other, name)
        good = 0.0 < value < math.inf
        figures[name] = value if good else instead if 0.0 < instead < math.inf else 0.0
    return dataclasses.replace(point, **figures)


def _sensible(point: OperatingPoint) -> OperatingPoint:
    return _completed(point, point)
