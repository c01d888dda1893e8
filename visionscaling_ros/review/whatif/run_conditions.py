"""What a recorded robot met, whatever it decided, slot by slot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import OperatingPoint, SlotState
from visionscaling_ros.review.whatif.gaps import filled
from visionscaling_ros.review.whatif.slot_series import Mask, Series
from visionscaling_ros.simulation.latency_book import RTT_S

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
    states: Sequence[SlotState], kept: Mask
) -> tuple[tuple[OperatingPoint, ...], ...]:
    """Every configuration the run ever offered, with its costs as known in each slot.

    A slot that is not kept has what was known in the one kept before it (or the first kept), and
    so has a configuration that a slot does not offer. What is unknown at first (a size or a time
    of 0) has what it turned out to be first.
    """
    slots = np.flatnonzero(kept)
    first: dict[tuple[str, int], OperatingPoint] = {}
    for t in slots.tolist():
        for point in states[t].operating_points:
            key = point.model, point.input_size_px
            first[key] = point if key not in first else _completed(first[key], point)
    known = dict(sorted(first.items()))
    told: list[tuple[OperatingPoint, ...]] = []
    last: object = None
    for t, state in enumerate(states):
        if kept[t] and state.operating_points != last:
            last = state.operating_points
            for point in state.operating_points:
                key = point.model, point.input_size_px
                known[key] = _completed(point, first[key])
            told.append(tuple(known.values()))
        else:
            told.append(told[-1] if told else tuple(known.values()))
    return tuple(told)


def _completed(point: OperatingPoint, other: OperatingPoint) -> OperatingPoint:
    """``point`` with what it does not know from ``other``; figures that make no sense become 0."""
    figures: dict[str, Any] = {}
    for name in ('accuracy_map', *_COSTS):
        value, instead = getattr(point, name), getattr(other, name)
        good = 0.0 < value < math.inf
        figures[name] = value if good else instead if 0.0 < instead < math.inf else 0.0
    return dataclasses.replace(point, **figures)


_COSTS = ('gpu_work_ghz_s', 'serial_s', 'upload_bits', 'server_time_s')
