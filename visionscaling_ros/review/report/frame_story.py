"""In words: what ran, and what became of the frames."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime, timezone

import numpy as np

from visionscaling_ros.datatypes import DropReason
from visionscaling_ros.review.report.run_series import RunSeries
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.wording import count, moment, number, share, was
from visionscaling_ros.watch.words import joined, plain_name

REASONS = {
    DropReason.NOT_SCHEDULED.value: 'more arrived than the decision processes',
    DropReason.SUPERSEDED.value: 'a newer frame took their place',
    DropReason.INVALID_IMAGE.value: 'the image was not valid',
    DropReason.TOO_OLD.value: 'they had become too old',
    DropReason.EDGE_FAILED.value: 'the edge gave them back too late to be run on the robot',
    DropReason.EDGE_TIMEOUT.value: 'the edge did not answer in time',
    DropReason.INFERENCE_ERROR.value: 'the model failed',
    DropReason.SHUTDOWN.value: 'the node was stopped',
}
_CALENDAR_FROM_S = 1e9  # earlier stamps are of a simulated clock
_NAMED = 6  # targets that are told one by one


def what_ran(view: RunView) -> str:
    """Policy, target, length and robot."""
    series = view.series
    robot = '' if series.namespace == '/' else f' on {plain_name(series.namespace)}'
    policies = dict.fromkeys(plain_name(slot.settings.policy) for slot in series.slots)
    targets = list(dict.fromkeys(f'{target:g}' for target in series.target_map.tolist()))
    slot_s = number(series.slots[0].settings.slot_s)
    policy_words = 'The policy' if len(policies) == 1 else 'One after another, the policies'
    target_words = f'a target of {targets[0]}'
    if len(targets) > _NAMED:
        low, high = float(series.target_map.min()), float(series.target_map.max())
        target_words = f'targets of {low:g} to {high:g}'
    elif len(targets) > 1:
        target_words = f'targets one after another of {joined(targets)}'
    since = ''
    if series.origin_s > _CALENDAR_FROM_S:
        since = f' from {datetime.fromtimestamp(series.origin_s, timezone.utc):%Y-%m-%d %H:%M} UTC'
    return (
        f'{policy_words} {joined(list(policies))} ran{robot}{since} for '
        f'{moment(float(series.duration_s.sum()))}, in {count(len(series), "slot")} of {slot_s} s, '
        f'with {target_words} mAP.'
    )


def what_is_missing(view: RunView) -> list[str]:
    """What the bag lacks of the run."""
    series, run = view.series, view.series.run
    told = []
    if not run.from_start:
        told.append(
            f'The bag begins with slot {run.slots[0].state.slot:,}: '
            'the controller had been running before.'
        )
    if run.missing_slots:
        told.append(
            f'{count(len(run.missing_slots), "slot")} {was(len(run.missing_slots))} not recorded '
            f'(the first is number {run.missing_slots[0]:,}): the timelines have gaps there.'
        )
    if run.untold_slots:
        told.append(
            f'{count(run.untold_slots, "slot")} {was(run.untold_slots)} left out: the settings in '
            'force in them are not in the bag.'
        )
    undecided = sum(slot.decision is None and bool(slot.state.policy) for slot in series.slots)
    if undecided:
        told.append(f'For {count(undecided, "slot")} there is no decision in the bag.')
    waited = sum(not slot.state.policy for slot in series.slots)
    if waited > 1:  # the first slot of a run is always one
        told.append(f'In {count(waited, "slot")} nothing had been decided yet.')
    if series.clock_jumps:
        told.append(
            f'The clock of the robot went back at the end of '
            f'{count(len(series.clock_jumps), "slot")} (the first is number '
            f'{series.clock_jumps[0]:,}): the timelines go on as if it had not.'
        )
    skipped = Counter(run.skipped) + Counter(view.side.skipped)
    told += [
        f'{count(amount, "message")} of {plain_name(topic)} could not be read.'
        for topic, amount in sorted(skipped.items())
    ]
    return told


def frame_sentences(view: RunView) -> list[str]:
    """Frames that arrived, were processed and where, and dropped and why."""
    series = view.series
    arrived, processed, at_edge, dropped = (
        int(np.nansum(series.frames(rate_fps)))
        for rate_fps in (
            series.state('arrival_fps'),
            series.processed_fps,
            series.state('processed_edge_fps'),
            series.state('dropped_fps'),
        )
    )
    if not np.isfinite(series.state('arrival_fps')).any():
        return ['How many frames arrived is not known.']
    if not arrived:
        return ['No frame arrived.']
    begin = f'In {moment(float(series.duration_s.sum()))}'
    sentences = [
        f'{begin} {count(arrived, "frame")} arrived; {processed:,} {was(processed)} processed '
        f'({share(processed, arrived)}), {_places(processed, at_edge)}.'
        if processed
        else f'{begin} {count(arrived, "frame")} arrived; none was processed.'
    ]
    if dropped:
        sentences.append(f'{count(dropped, "frame")} {was(dropped)} dropped{_reasons(series)}.')
    else:
        sentences.append('None was dropped.')
    left = series.slots[-1].state.in_flight
    if left:
        sentences.append(f'At the end {count(left, "frame")} {was(left)} still under way.')
    return sentences


def configuration_sentence(view: RunView) -> str:
    """What processed most frames."""
    series = view.series
    rates = series.configurations(lambda slot: slot.state.processed)
    frames = {key: float(np.nansum(rate * series.duration_s)) for key, rate in rates.items()}
    total = sum(frames.values())
    if total <= 0.0:
        return ''
    used = {key: part for key, part in frames.items() if part > 0.0}
    (model, size_px, at_edge), most = max(used.items(), key=lambda item: item[1])
    place = 'at the edge' if at_edge else 'on the robot'
    name = f'{plain_name(model)} at {size_px} px {place}'
    if len(used) == 1:
        return f'All were processed by {name}.'
    return (
        f'{len(used)} configurations were used; {name} processed most frames '
        f'({share(most, total)}).'
    )


def latency_sentence(view: RunView) -> str:
    """How long frames took, from their results or else from the slots."""
    parts = []
    for place, at_edge in (('on the robot', False), ('at the edge', True)):
        latencies = [
            frame.latency_s
            for frame in view.side.frames
            if frame.processed and frame.at_edge is at_edge and math.isfinite(frame.latency_s)
        ]
        if latencies:
            p95_ms = 1e3 * float(np.percentile(latencies, 95))
            parts.append(f'{number(p95_ms)} ms {place}')
    if not parts:
        return ''
    return f'95 % of the frames were done within {joined(parts)}, waiting included.'


def _places(processed: int, at_edge: int) -> str:
    if at_edge == 0:
        return 'on the robot' if processed == 1 else 'all of them on the robot'
    if at_edge >= processed:
        return 'at the edge' if processed == 1 else 'all of them at the edge'
    return f'{at_edge:,} of them at the edge'


def _reasons(series: RunSeries) -> str:
    counts: Counter[str] = Counter()
    for slot in series.slots:
        counts.update({k: v for k, v in slot.state.drop_counts.items() if v > 0})
    if not counts:
        return ''
    if len(counts) == 1:
        return f': {_reason(next(iter(counts)))}'
    parts = [f'{amount:,} because {_reason(name)}' for name, amount in counts.most_common()]
    return f': {joined(parts)}'


def _reason(name: str) -> str:
    return REASONS.get(name, plain_name(name))
