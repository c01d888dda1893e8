"""A robot as JSON: what top shows, for programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from visionscaling_ros.datatypes import Allocation, Binding, Explanation
from visionscaling_ros.watch.explanation_words import (
    decision_line,
    decision_sentences,
    runner_up_gap,
)
from visionscaling_ros.watch.robot_view import RobotView
from visionscaling_ros.watch.words import PLACES


def robot_document(view: RobotView) -> dict[str, Any]:
    """Its messages with the field names they have as messages, and what they come to.

    Configurations on offer and the history are left out.
    """
    return {
        'namespace': view.namespace or '/',
        'condition': view.condition.value,
        'silence_s': view.silence_s,
        'ages_s': dict(view.ages_s),
        'energy_per_frame_j': view.energy_per_frame_j,
        'main_drop_reason': view.main_drop_reason,
        'accuracy_target_map': view.accuracy_target_map,
        'why': _why(view),
        'slot_state': _told(view.state, 'operating_points', 'beliefs'),
        'slot_decision': _told(view.decision),
        'controller_settings': _told(view.settings),
        'gpu_state': _told(view.gpu),
        'link_state': _told(view.link),
        'inference_state': _told(view.inference),
        'warnings': [dataclasses.asdict(status) for status in view.warnings],
        'not_understood': view.not_understood,
    }


def _why(view: RobotView) -> dict[str, Any] | None:
    if view.decision is None:
        return None
    return {
        'line': decision_line(view.decision),
        'sentences': decision_sentences(view.decision),
        'runner_up_gap': runner_up_gap(view.decision),
    }


def _told(data: Any, *without: str) -> dict[str, Any] | None:
    if data is None:
        return None
    fields = (f.name for f in dataclasses.fields(data) if f.name not in without)
    return {name: _plain(getattr(data, name)) for name in fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Binding):
        return [limit.name for limit in Binding if value & limit]
    if isinstance(value, Explanation):
        return _told(value)
    if isinstance(value, Allocation):
        return {**dataclasses.asdict(value), 'origin': PLACES[value.origin]}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
