"""Which settings are searched, and between which values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.review.tune.goal import Goal

FIRST_TARGETS = 6  # steps of the accuracy target tried first
_DIGITS = 3
MAP_MARGIN = 0.06  # above the accuracy asked for
_RATE_MARGIN = 1.5  # times the least rate asked for


@dataclass(frozen=True)
class Searched:
    """A setting to search.

    :param log: evenly in its logarithm.
    """

    name: str
    low: float
    high: float
    log: bool = False


class Suggests(Protocol):
    """Of Optuna's trials, what is needed of them."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A value between two."""


# Only the ratio of weight_rate to weight_energy matters, so the latter stays as it is.
_OWN = (
    Searched('weight_rate', 0.02, 500.0, log=True),
    Searched('capacity_quantile', 0.05, 0.7),
    Searched('switching_cost', 1e-4, 0.3, log=True),
    Searched('utilization_ceiling', 0.4, 1.0),
    Searched('arrival_smoothing', 0.1, 1.0),
)
_LATENCY = (Searched('latency_target_s', 0.02, 1.0, log=True),)
_OF_POLICY = {
    'visionscaling_meta': _OWN,
    'visionscaling': _OWN,
    'autoscale': _LATENCY,
    'dms': _LATENCY,
}


def searched_for(policy: str, goal: Goal) -> tuple[Searched, ...]:
    """What is searched for a policy: the settings it heeds, and the target with a margin."""
    highest = min(1.0, goal.target_map + MAP_MARGIN)
    found = [Searched('accuracy_target_map', goal.target_map, highest), *_OF_POLICY.get(policy, ())]
    if goal.min_fps is not None and policy in ('visionscaling_meta', 'visionscaling'):
        found.append(Searched('min_processed_fps', 0.0, min(1e3, _RATE_MARGIN * goal.min_fps)))
    return tuple(found)


def suggested(trial: Suggests, searched: tuple[Searched, ...]) -> dict[str, float]:
    """A trial's values, rounded so that people can read them."""
    return {
        s.name: rounded(trial.suggest_float(s.name, s.low, s.high, log=s.log), s)
        for s in searched
    }


def rounded(value: float, searched: Searched) -> float:
    """A value to a few digits, within its range."""
    return min(max(float(f'{value:.{_DIGITS}g}'), searched.low), searched.high)


def first_values(
    settings: ControlSettings, searched: tuple[Searched, ...], goal: Goal
) -> tuple[dict[str, float], ...]:
    """Where the search starts: the settings given, then with each of some targets in their place.

    The target matters most, and what was recorded goes with it best as far as anybody knows.
    """
    values = {s.name: getattr(settings, s.name) for s in searched}
    values['accuracy_target_map'] = max(goal.target_map, values['accuracy_target_map'])
    given = {s.name: min(max(values[s.name], s.low), s.high) for s in searched}
    target = next(s for s in searched if s.name == 'accuracy_target_map')
    step = (target.high - target.low) / FIRST_TARGETS
    targets = [rounded(target.low + number * step, target) for number in range(FIRST_TARGETS + 1)]
    return (given, *({**given, target.name: value} for value in targets))


def with_values(settings: ControlSettings, values: dict[str, float]) -> ControlSettings:
    """``settings`` with those searched replaced."""
    changes: dict[str, object] = dict(values)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]
