"""In words: the edge, the GPU clock, heat and power."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from visionscaling_ros.datatypes import Binding
from visionscaling_ros.review.report.run_series import Series, mean
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.wording import (
    Flags,
    count,
    during,
    length_s,
    moment,
    number,
    share,
    times,
    told,
)
from visionscaling_ros.watch.words import joined, plain_name

_MOST = 0.5  # share of the time from which on a clock ran 'most of the time'
_TOLERANCE = 0.02  # a clock this near a level is at it


def server_sentence(view: RunView) -> str:
    """The addresses of the edge servers used."""
    servers = list(dict.fromkeys(plain_name(r.server) for r in view.side.link if r.server))
    if len(servers) < 2:
        return f'Its address was {servers[0]}.' if servers else ''
    return f'{len(servers)} addresses were used: {joined(servers)}.'


def edge_sentence(view: RunView) -> str:
    """When the edge server was out of reach."""
    series = view.series
    away = series.edge_away
    if not any(slot.settings.settings.allow_edge for slot in series.slots):
        return 'Use of the edge was not allowed.'
    if away.all():
        return 'The edge server was never in reach.'
    if not away.any():
        return 'The edge server was in reach all the time.'
    found = series.stretches(away)
    whole_s = sum(length_s(stretch) for stretch in found)
    if len(found) == 1:
        return f'The edge server was out of reach once, {during(found[0])}.'
    return (
        f'The edge server was out of reach {times(len(found))}, for {moment(whole_s)} in all: '
        f'{told(found)}.'
    )


def clock_sentences(view: RunView) -> list[str]:
    """The clock that the GPU ran at most, and the limits of the decisions in those slots."""
    series = view.series
    clock_hz, length = series.state('gpu_frequency_hz'), series.duration_s
    known = np.isfinite(clock_hz) & (clock_hz > 0.0)
    if not known.any():
        return ['The GPU clock is not known.']
    levels_hz = view.series.slots[-1].device.available_frequencies_hz
    level_hz, part = _usual(clock_hz[known], length[known], levels_hz)
    low, high = float(clock_hz[known].min()), float(clock_hz[known].max())
    always = 'all the time' if known.all() else 'whenever it was known'
    if part < _MOST:
        usual = f'most often at {_mhz(level_hz)} MHz ({share(part, 1.0)} of the time)'
        words = f'The GPU ran at {_mhz(low)} to {_mhz(high)} MHz, {usual}'
    elif part > 1.0 - 1e-9:
        words = f'The GPU ran at {_mhz(level_hz)} MHz {always}'
    else:
        words = f'The GPU ran at {_mhz(level_hz)} MHz most of the time ({share(part, 1.0)})'
    if not levels_hz:
        return [f'{words}; its clock cannot be set.']
    at_level = known & (np.abs(clock_hz - level_hz) <= _TOLERANCE * level_hz)
    return [f'{words}{_why(view, at_level, level_hz, levels_hz)}.']


def heat_sentences(view: RunView) -> list[str]:
    """How warm the GPU became, and when something held its clock back."""
    series = view.series
    temperature_c = series.state('gpu_temperature_c')
    told_: list[str] = []
    if np.isfinite(temperature_c).any():
        low = number(float(np.nanmin(temperature_c)))
        high = number(float(np.nanmax(temperature_c)))
        between = low if low == high else f'{low} to {high}'
        told_.append(f'The GPU was at {between} \N{DEGREE SIGN}C.')
    reasons = Counter(r.throttle_reason for r in view.side.gpu if r.throttle_reason)
    for reason, amount in reasons.most_common():
        told_.append(
            f'{count(amount, "reading")} of {len(view.side.gpu):,} of the GPU named a reason that '
            f'held its clock back: {plain_name(reason, 120)}.'
        )
    return told_


def power_sentences(view: RunView) -> list[str]:
    """Power and energy, measured and expected."""
    series = view.series
    power_w, length = series.state('power_w'), series.duration_s
    known = np.isfinite(power_w)
    if not known.any():
        return ['The power is not known: there was no reading of a meter or model.']
    by = _power_source(view)
    average = number(mean(power_w, length))
    sentences = [f'It took {average} W on average{f" ({by})" if by else ""}']
    expected = series.decided('expected_power_w')
    both = known & np.isfinite(expected)
    if both.any():
        wanted = number(mean(np.where(both, expected, math.nan), length))
        came = number(mean(np.where(both, power_w, math.nan), length))
        slots = '' if came == average else f' in slots that took {came} W'
        sentences[0] += f', where {wanted} W were expected{slots}'
    sentences[0] += '.'
    processed = float(np.nansum(series.frames(series.processed_fps)[known]))
    energy_j = float(np.sum((power_w * length)[known]))
    if processed > 0.0:
        sentences.append(f'That is {number(energy_j / processed)} J for every frame processed.')
    unknown = int((~known).sum())
    if unknown:
        sentences.append(f'In {count(unknown, "slot")} the power is not known.')
    return sentences


def _power_source(view: RunView) -> str:
    if view.modelled:
        return 'by the power model, not measured'
    sources = dict.fromkeys(plain_name(r.power_source, 80) for r in view.side.gpu if r.power_source)
    return joined(list(sources))


def _usual(
    clock_hz: Series, length_s_: Series, levels_hz: tuple[float, ...]
) -> tuple[float, float]:
    """Clock it ran at for the longest time, and which share of the time."""
    longest: Counter[float] = Counter()
    for hertz, seconds in zip(clock_hz.tolist(), length_s_.tolist(), strict=True):
        nearest = min(levels_hz, key=lambda level: abs(level - hertz), default=hertz)
        at_level = abs(nearest - hertz) <= _TOLERANCE * nearest
        longest[nearest if at_level else round(hertz, -6)] += seconds
    level_hz, seconds = longest.most_common(1)[0]
    return level_hz, seconds / float(length_s_.sum())


def _why(view: RunView, chosen: Flags, level_hz: float, levels_hz: tuple[float, ...]) -> str:
    """What the decisions of the slots that ran at that clock say about it."""
    decisions = [
        slot.decision
        for slot, taken in zip(view.series.slots, chosen.tolist(), strict=True)
        if taken and slot.decision
    ]
    if not decisions:
        return ''
    free = sum(decision.gpu_frequency_hz <= 0.0 for decision in decisions)
    if free == len(decisions):
        return ': the decisions left the clock to the device'
    asked = sum(
        abs(decision.gpu_frequency_hz - level_hz) <= _TOLERANCE * level_hz for decision in decisions
    )
    where = ''
    if level_hz >= levels_hz[-1] * (1.0 - _TOLERANCE):
        where = ', the highest it has'
    elif level_hz <= levels_hz[0] * (1.0 + _TOLERANCE):
        where = ', the lowest it has'
    parts = [f'it was decided in {_part(asked, len(decisions))} of those slots']
    for limit, words in (
        (Binding.COMPUTE, 'the robot was as busy as it may be'),
        (Binding.CLOCK, 'no higher clock was to be planned with'),
    ):
        bound = sum(bool(d.explanation.binding_constraints & limit) for d in decisions)
        if bound:
            parts.append(f'in {_part(bound, len(decisions))} of them {words}')
    return f'{where}: {joined(parts)}'


def _part(amount: int, whole: int) -> str:
    return 'all' if amount == whole else share(amount, whole)


def _mhz(hertz: float) -> str:
    return number(hertz * 1e-6, 4)
