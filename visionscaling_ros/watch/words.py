"""Figures and names as people read them, whatever they were; nothing here raises."""

from __future__ import annotations

import math

from visionscaling_ros.datatypes import Allocation, Origin

PLACES = {Origin.LOCAL: 'robot', Origin.EDGE: 'edge', Origin.SPLIT: 'split'}
AT_PLACES = {Origin.LOCAL: 'on the robot', Origin.EDGE: 'at the edge', Origin.SPLIT: 'split'}
LONGEST_NAME = 40


def known(value: float) -> bool:
    """Whether it is a figure at all: neither NaN nor infinite."""
    return math.isfinite(value)


def figure(value: float, decimals: int = 1, unknown: str = '?') -> str:
    """A number with so many decimals, fewer for large ones; at most 8 characters."""
    if not known(value):
        return unknown
    if abs(value) >= 1e6:
        return f'{value:.0e}'
    text = f'{value:.{decimals if abs(value) < 1e3 else 0}f}'
    return text.removeprefix('-') if float(text) == 0.0 else text


def plain_name(text: str, longest: int = LONGEST_NAME) -> str:
    """What somebody else wrote, on one line and of bounded length."""
    line = ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())
    return line if len(line) <= longest else f'{line[: longest - 1]}…'


def configuration_words(allocation: Allocation, *, longest_model: int = LONGEST_NAME) -> str:
    """``vsdet_s@320 edge``: what runs and where."""
    model = plain_name(allocation.model, longest_model)
    return f'{model}@{allocation.input_size_px} {PLACES[allocation.origin]}'


def by_share(allocations: tuple[Allocation, ...]) -> list[Allocation]:
    """The largest share first; rates that are not known last."""
    return sorted(allocations, key=lambda a: -a.rate_fps if known(a.rate_fps) else math.inf)


def joined(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return ' and '.join([*([', '.join(parts[:-1])] if parts[:-1] else []), *parts[-1:]])


def since_words(seconds: float) -> str:
    """``35 s``, ``12 min``, ``3 h``, ``5 d``: how long ago."""
    for unit, length_s in (('s', 1.0), ('min', 60.0), ('h', 3600.0)):
        if seconds < 100.0 * length_s:
            return f'{seconds / length_s:.0f} {unit}'
    return f'{min(seconds / 86400.0, 9999.0):.0f} d' if known(seconds) else '?'
