"""What a link carried while it was busy, as a mean over time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

# The estimate is the mean over this long.
WINDOW_S = 2.0
# Transfers within this long are one measurement: their single times are mostly noise.
EPOCH_S = 0.1
# No transfer is timed shorter than this: on a faster link the estimate is a lower bound.
RESOLUTION_S = 0.0002
# 10 % and 90 % quantiles of the normal distribution lie this many deviations from the mean.
_DEVIATIONS = 1.2816
# What an estimate is off by at least, relatively: clocks, wake-ups, headers.
_LEAST_SPREAD = 0.03
# How far a process of a busy machine is off when it times a transfer.
_TIMING_S = 0.001


class CapacityEstimate(NamedTuple):
    """Mean capacity over the window, and where it lies with 80 % probability [bit/s]."""

    mean_bps: float
    low_bps: float
    high_bps: float


class Busy(NamedTuple):
    """The link carried ``bits`` in the ``busy_s`` up to ``end_s``."""

    end_s: float
    bits: float
    busy_s: float


UNKNOWN = CapacityEstimate(math.nan, math.nan, math.nan)


class CapacityWindow:
    """Time-weighted mean of measured rates.

    Between two busy times the capacity is taken to be the mean of theirs. Adding up bits over busy
    times instead would count a slow moment the more the longer a frame took in it, and so come out
    too low on a link that changes. The interval is a normal one, from the spread of the rates in
    the window over how many there are, from how well a transfer can be timed, and from what less
    than one frame could not show.
    Not thread-safe; times are of one monotonic clock.
    """

    def __init__(self) -> None:
        self._busy: deque[Busy] = deque()

    def add(self, busy: Busy) -> None:
        """A measurement, no earlier than the one before."""
        self._busy.append(busy)
        # The one before the window says what the gap at its beginning was like.
        while len(self._busy) > 1 and self._busy[1].end_s < busy.end_s - WINDOW_S:
            self._busy.popleft()

    @property
    def newest_s(self) -> float:
        """End of the newest measurement [s]; -inf: none."""
        return self._busy[-1].end_s if self._busy else -math.inf

    def estimate(self, waiting: Busy | None = None) -> CapacityEstimate:
        """The estimate; NaN: nothing was measured.

        :param waiting: a transfer that is not through yet, with what it can have carried at most;
            it counts when that is less than the estimate otherwise.
        """
        epochs = list(self._epochs())
        if not epochs:
            return UNKNOWN
        if waiting is not None and waiting.bits / waiting.busy_s < _rate_bps(epochs[-1]):
            epochs.append(waiting)
        pieces = list(_pieces(epochs, epochs[-1].end_s - WINDOW_S))
        total_s = sum(span_s for span_s, _ in pieces)
        mean_bps = sum(span_s * rate_bps for span_s, rate_bps in pieces) / total_s
        variance = sum(span_s * (rate_bps - mean_bps) ** 2 for span_s, rate_bps in pieces) / total_s
        count = total_s**2 / sum(span_s**2 for span_s, _ in pieces)
        frame_bits = sum(busy.bits for busy in self._busy) / len(self._busy)
        frame_s = sum(busy.busy_s for busy in self._busy) / len(self._busy)
        spread_bps = math.sqrt(
            variance / max(count - 1.0, 0.5)
            + (_LEAST_SPREAD * mean_bps) ** 2
            + (_TIMING_S / frame_s * mean_bps) ** 2
            + (0.5 * frame_bits / WINDOW_S) ** 2
        )
        return CapacityEstimate(
            mean_bps,
            max(0.0, mean_bps - _DEVIATIONS * spread_bps),
            mean_bps + _DEVIATIONS * spread_bps,
        )

    def _epochs(self) -> Iterator[Busy]:
        """The measurements, those close together added up."""
        start_s = math.inf
        joined: Busy | None = None
        for busy in self._busy:
            if joined is not None and busy.end_s - start_s <= EPOCH_S:
                joined = Busy(busy.end_s, joined.bits + busy.bits, joined.busy_s + busy.busy_s)
                continue
            if joined is not None:
                yield joined
            joined, start_s = busy, busy.end_s - busy.busy_s
        if joined is not None:
            yield joined


def _rate_bps(busy: Busy) -> float:
    return busy.bits / busy.busy_s


def _pieces(epochs: list[Busy], since_s: float) -> Iterator[tuple[float, float]]:
    """(length [s], rate [bit/s]) of every part of the time from ``since_s`` to the last epoch."""
    for index, epoch in enumerate(epochs):
        start_s = epoch.end_s - epoch.busy_s
        if index > 0:
            before = epochs[index - 1]
            gap_s = start_s - max(before.end_s, since_s)
            if gap_s > 0.0:
                yield gap_s, 0.5 * (_rate_bps(before) + _rate_bps(epoch))
        span_s = epoch.end_s - max(start_s, since_s)
        if span_s > 0.0:
            yield span_s, _rate_bps(epoch)
