"""A robot in words: its name, how it is, what its nodes complain of, all of it on one line."""

from __future__ import annotations

from datetime import datetime, timedelta

from visionscaling_ros.watch.detail_rows import detail_rows
from visionscaling_ros.watch.explanation_words import decision_line
from visionscaling_ros.watch.readings import ERROR, STALE, WARN
from visionscaling_ros.watch.robot_view import Condition, RobotView
from visionscaling_ros.watch.words import figure, known, plain_name, since_words

LEVEL_WORDS = {WARN: 'WARN', ERROR: 'ERROR', STALE: 'STALE'}
LONGEST_WORDS = 300  # of what a node says in /diagnostics
RECENTLY_S = 60.0  # a restart is told for so long


def robot_name(view: RobotView) -> str:
    """Its namespace; ``/`` for the root."""
    return plain_name(view.namespace, 200) or '/'


def condition_words(view: RobotView, now: datetime) -> str:
    """How it is, in a few words."""
    condition = view.condition
    if condition is Condition.GONE:
        return f'gone since {_moment(now, view.silence_s)}' if known(view.silence_s) else 'not seen'
    if condition is Condition.SILENT:
        return f'silent since {_moment(now, view.silence_s)}'
    if condition is Condition.STARTING:
        return 'no slot has ended yet'
    if condition is Condition.UNDECIDED:
        return f'no slot_state since {_moment(now, view.slot_silence_s)}'
    if condition is Condition.FALLBACK:
        return 'FALLBACK: no fresh decision, the safe configuration runs'
    return str(condition.value)


def short_condition(view: RobotView) -> str:
    """The same in at most 11 characters."""
    condition = view.condition
    silence_s = {
        Condition.GONE: view.silence_s,
        Condition.SILENT: view.silence_s,
        Condition.UNDECIDED: view.slot_silence_s,
    }.get(condition)
    if silence_s is None or not known(silence_s):
        return 'not seen' if condition is Condition.GONE else str(condition.value)
    word = 'gone' if condition is Condition.GONE else 'silent'
    return f'{word} {since_words(silence_s)}'


def why(view: RobotView) -> str:
    """The decision's reasons in a line; '' without a decision."""
    return decision_line(view.decision) if view.decision is not None else ''


def warning_rows(view: RobotView) -> list[tuple[str, str]]:
    """Level and words of what its nodes tell in ``/diagnostics``, the worst first."""
    rows = [
        (
            LEVEL_WORDS.get(status.level, f'level {status.level}'),
            f'{plain_name(status.name, 60)}: {plain_name(status.words, LONGEST_WORDS)}',
        )
        for status in view.warnings
    ]
    if view.not_understood:
        count = view.not_understood
        words = f'{count} message{"s" if count > 1 else ""} of another version, passed over'
        rows.append(('WARN', words))
    return rows


def robot_line(view: RobotView, now: datetime) -> str:
    """All of it on one line, for terminals that are none."""
    parts = [robot_name(view), condition_words(view, now), head_words(view)]
    parts += [f'{label}: {text}' for label, text in detail_rows(view)]
    parts += [f'why: {why(view)}'] if view.decision is not None else []
    parts += [f'{level} {words}' for level, words in warning_rows(view)]
    return ' | '.join(part for part in parts if part)


def head_words(view: RobotView) -> str:
    """Policy and slot, and whether it was started anew."""
    parts = []
    policy = (view.decision.policy if view.decision else '') or (
        view.state.policy if view.state else ''
    )
    if policy:
        parts.append(plain_name(policy))
    if view.state is not None:
        parts.append(f'slot {view.state.slot} of {figure(view.state.duration_s)} s')
    if view.restarted_s < RECENTLY_S:
        parts.append(f'restarted {since_words(view.restarted_s)} ago')
    return ', '.join(parts)


def _moment(now: datetime, ago_s: float) -> str:
    """``12:03:04 (35 s)``; the date too where it was not today."""
    try:
        then = now - timedelta(seconds=ago_s)
    except OverflowError:
        return f'{since_words(ago_s)} ago'
    form = '%H:%M:%S' if then.date() == now.date() else '%Y-%m-%d %H:%M:%S'
    return f'{then.strftime(form)} ({since_words(ago_s)})'
