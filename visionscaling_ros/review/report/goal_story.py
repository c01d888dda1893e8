"""In words: accuracy, cost, and settings that changed."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.review.recorded_run import RecordedSettings
from visionscaling_ros.review.report.decision_table import plan_changed
from visionscaling_ros.review.report.run_series import MAP_TOLERANCE, Series, mean
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.wording import (
    Stretch,
    count,
    during,
    length_s,
    moment,
    number,
    times,
    told,
)
from visionscaling_ros.watch.words import joined, plain_name

_CHANGES_TOLD = 6


def accuracy_sentences(view: RunView) -> list[str]:
    """Whether the accuracy target was met on average, and when not: measured, and by the table."""
    series = view.series
    measured, table = series.measured_map, series.table_map
    told_ = []
    if np.isfinite(measured).any():
        told_.append(_judged(view, measured, 'Measured against ground truth, the'))
    if np.isfinite(table).any():
        begin = 'By the accuracy table, which the controller goes by, the'
        told_.append(_judged(view, table, begin))
    if not told_:
        return ['The accuracy of the run is not known.']
    unreachable = sum(not slot.state.beliefs.target_feasible for slot in series.slots)
    if unreachable:
        told_.append(
            f'At the end of {count(unreachable, "slot")} no configuration allowed reached the '
            'target.'
        )
    return told_


def _judged(view: RunView, achieved_map: Series, begin: str) -> str:
    series = view.series
    known = np.isfinite(achieved_map)
    frames = series.processed_fps * series.duration_s
    average = mean(achieved_map, frames)
    wanted = mean(np.where(known, series.target_map, math.nan), frames)
    reached = average >= wanted - MAP_TOLERANCE
    one = len(set(series.target_map.tolist())) == 1
    target = f'target of {wanted:g} mAP' if one else f'target ({number(wanted)} mAP on average)'
    average_words, wanted_words = number(average), number(wanted)
    if average_words == wanted_words and not reached:
        average_words = number(average, 5)
    first = f'{begin} {target} was {"met" if reached else "missed"} on average ({average_words})'
    missed = series.missed(achieved_map)
    amount = int(missed.sum())
    judged = int(known.sum())
    each = 'in every slot' if known.all() else f'in each of {count(judged, "slot")} it is known of'
    if amount == 0:
        return f'{first} and {each}.'
    if amount == judged:
        return f'{first} {"but missed" if reached else "and"} {each}.'
    found = series.stretches(missed)
    when = told(found) if len(found) == 1 else f'the longest stretch {during(_longest(found))}'
    joint = ', but missed' if reached else ' and'
    slots = f'{amount:,} of {count(judged, "slot")}'
    return f'{first}{joint} in {slots}, {when}.'


def _longest(found: list[Stretch]) -> Stretch:
    return max(found, key=length_s)


def cost_sentence(view: RunView) -> str:
    """The cost beside the clairvoyant optimum."""
    series = view.series
    regret = series.state('cost') - view.optimum
    known = np.isfinite(regret)
    if not known.any():
        why = view.no_optimum or 'the power is not known'
        return f'What the best decisions would have cost is not known: {why}.'
    total = float(regret[known].sum())
    side = 'above' if total >= 0.0 else 'below'
    owed = float(series.state('cumulative_fit')[-1])
    within_reach = all(slot.state.beliefs.target_feasible for slot in series.slots)
    short = owed > MAP_TOLERANCE * float(np.nansum(series.processed_fps)) and within_reach
    why = ' The run fell short of the accuracy target, which they may not.' if short else ''
    return (
        f'The cost summed over {count(int(known.sum()), "slot")} is {number(abs(total))} {side} '
        'that of the best decisions, each made with its slot known beforehand '
        f'({number(abs(total) / int(known.sum()))} a slot).{why}'
    )


def decision_sentence(view: RunView) -> str:
    """How often something else was decided, and which limits bound."""
    decisions = [slot.decision for slot in view.series.slots if slot.decision]
    if not decisions:
        return 'No decision of this run is in the bag.'
    changed = sum(plan_changed(before, after) for before, after in itertools.pairwise(decisions))
    if len(decisions) == 1:
        return 'One decision is in the bag.'
    if not changed:
        return (
            'Configurations, places and the GPU clock stayed the same in all of '
            f'{count(len(decisions), "decision")}.'
        )
    return (
        f'Configurations, places or the GPU clock changed {times(changed)} in '
        f'{count(len(decisions), "decision")}.'
    )


def change_sentences(view: RunView) -> list[str]:
    """Settings that changed, and when; of many the first."""
    changes = view.series.changes
    sentences = [
        f'Settings were changed at {moment(at_s)}: {change_words(before, after)}.'
        for at_s, before, after in changes[:_CHANGES_TOLD]
    ]
    more = len(changes) - len(sentences)
    if more:
        sentences.append(f'After that they were changed {times(more)} more.')
    return sentences


def change_words(before: RecordedSettings, after: RecordedSettings) -> str:
    """Such as 'accuracy_target_map from 0.6 to 0.5'."""
    parts = [
        f'{field.name} from {_value(old)} to {_value(new)}'
        for field in dataclasses.fields(ControlSettings)
        if (old := getattr(before.settings, field.name))
        != (new := getattr(after.settings, field.name))
    ]
    if before.policy != after.policy:
        parts.insert(0, f'policy from {plain_name(before.policy)} to {plain_name(after.policy)}')
    if before.slot_s != after.slot_s:
        parts.append(f'slot length from {before.slot_s:g} s to {after.slot_s:g} s')
    return joined(parts) or 'set again to what they were'


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return plain_name(joined([str(part) for part in value])) or 'all'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value:g}'
    return plain_name(str(value)) or 'none'
