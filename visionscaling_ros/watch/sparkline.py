"""A few characters that show how a figure went."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BARS = '▁▂▃▄▅▆▇█'
ASCII_BARS = '_.:-=+*#'
LEAST_SPAN = 0.1  # of the largest value: smaller movements are not blown up


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The values, the newest at the right, in at most ``width`` characters; a blank: not known.

    Where there are more values than characters, each stands for the mean of a few.
    """
    told = _condensed(values, width)
    finite = [value for value in told if math.isfinite(value)]
    if not finite:
        return ' ' * len(told)
    low, high = value_range(finite)
    bars = ASCII_BARS if ascii_only else BARS
    top = len(bars) - 1
    return ''.join(
        bars[round(top * ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)))]
        if math.isfinite(value)
        else ' '
        for value in told
    )


def value_range(finite: Sequence[float]) -> tuple[float, float]:
    """Values of the lowest and the highest bar."""
    high = max(finite)
    span = max(LEAST_SPAN * max(abs(value) for value in finite), 1e-9)
    low = min(finite)
    if math.isinf(high - span):  # as low as floats go
        return low, low + span
    return min(low, high - span), high


def _condensed(values: Sequence[float], width: int) -> list[float]:
    count = len(values)
    if count <= width:
        return list(values)
    edges = [column * count // width for column in range(width + 1)] if width > 0 else []
    return [_mean(values[first:last]) for first, last in itertools.pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    finite = [value / len(values) for value in values if math.isfinite(value)]
    return math.fsum(finite) * (len(values) / len(finite)) if finite else math.nan
