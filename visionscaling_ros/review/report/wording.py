"""Numbers and stretches of time in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from visionscaling_ros.watch.words import joined

Flags = npt.NDArray[np.bool_]
Stretch = tuple[float, float]

_TIMES = {1: 'once', 2: 'twice'}
_NAMED = 3  # stretches told one by one; of more only the longest
_MINUTES_FROM_S = 120.0
_TENTHS_BELOW_S = 9.95


def number(value: float, digits: int = 3) -> str:
    """With so many significant digits, thousands apart; 'unknown' where not finite."""
    if not math.isfinite(value):
        return 'unknown'
    if value == 0.0:
        return '0'
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    text = f'{round(value, decimals):,.{max(decimals, 0)}f}'
    text = text.rstrip('0').rstrip('.') if '.' in text else text
    return text.replace('-', '\N{MINUS SIGN}')


def count(amount: int, noun: str, plural: str = '') -> str:
    """Such as '1 slot' or '1,800 frames'."""
    return f'{amount:,} {noun if amount == 1 else plural or noun + "s"}'


def times(amount: int) -> str:
    """Such as 'once', 'twice' or '5 times'."""
    return _TIMES.get(amount, f'{amount:,} times')


def was(amount: int) -> str:
    """'was' for one, 'were' for any other number."""
    return 'was' if amount == 1 else 'were'


def moment(time_s: float) -> str:
    """A time since the begin of the run, such as '0.5 s', '31 s' or '12 min 5 s'."""
    if 0.0 < time_s < _TENTHS_BELOW_S:
        return f'{max(time_s, 0.1):.1f}'.removesuffix('.0') + ' s'
    whole_s = round(time_s)
    if whole_s < _MINUTES_FROM_S:
        return f'{whole_s} s'
    minutes, seconds = divmod(whole_s, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, 'h'), (minutes, 'min'), (seconds, 's')]
    return ' '.join(f'{value} {unit}' for value, unit in parts if value)


def during(stretch: Stretch) -> str:
    """Such as 'from 12 s to 16 s'."""
    return f'from {moment(stretch[0])} to {moment(stretch[1])}'


def share(part: float, whole: float) -> str:
    """Such as '92 %'; not rounded to all or nothing."""
    percent = 100.0 * part / whole
    if 0.0 < percent < 1.0:
        return 'less than 1 %'
    if 99.0 < percent < 100.0:
        return 'more than 99 %'
    return f'{percent:.0f} %'


def stretches(flags: Flags, begin_s: npt.NDArray[np.float64], end_s: npt.NDArray[np.float64],
              follows: Flags) -> list[Stretch]:  # fmt: skip
    """From when to when the flags of slots that follow one another are true.

    :param begin_s: of every slot [s].
    :param end_s: of every slot [s].
    :param follows: nothing is missing between the slot and the one before.
    """
    found: list[Stretch] = []
    before = False
    for flag, begin, end, connected in zip(
        flags.tolist(), begin_s.tolist(), end_s.tolist(), follows.tolist(), strict=True
    ):
        if flag and before and connected:
            found[-1] = found[-1][0], end
        elif flag:
            found.append((begin, end))
        before = flag
    return found


def length_s(stretch: Stretch) -> float:
    """How long it is [s]."""
    return stretch[1] - stretch[0]


def told(found: Sequence[Stretch]) -> str:
    """All of them if they are few, else the longest."""
    if len(found) <= _NAMED:
        return joined([during(stretch) for stretch in found])
    return f'the longest {during(max(found, key=length_s))}'
