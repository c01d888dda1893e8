"""Searches the settings of one policy with Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.review.tune.goal import Goal
from visionscaling_ros.review.tune.searched import (
    Searched,
    first_values,
    searched_for,
    suggested,
    with_values,
)
from visionscaling_ros.review.tune.tuned_run import Parts, TunedRun

_WORST = 1e9  # a score that is infinite; Optuna takes finite ones only


@dataclass(frozen=True)
class Tried:
    """Settings that were tried.

    :param values: of the settings searched.
    :param parts: what came of them in each run.
    :param score: what is to be least, mean over the runs.
    :param excess: by how much of its value each bound is missed with its margin, in the worst of
        the runs; in the order of the goal's limits.
    """

    values: dict[str, float]
    parts: tuple[Parts, ...]
    score: float
    excess: tuple[float, ...]

    @property
    def reaches(self) -> bool:
        """Whether all bounds are kept, margins included."""
        return all(excess <= 0.0 for excess in self.excess)

    @property
    def rank(self) -> tuple[float, float]:
        """Less is better: how far the bounds are missed, then the score."""
        return sum(max(excess, 0.0) for excess in self.excess), self.score


@dataclass(eq=False)
class Search:
    """A search under way, and what it found.

    :param policy: the one that is to play.
    :ivar tried: in order.
    """

    runs: tuple[TunedRun, ...]
    policy: str
    goal: Goal
    tried: list[Tried] = field(default_factory=list)
    _simpler: Tried | None = None

    @property
    def searched(self) -> tuple[Searched, ...]:
        """What is searched."""
        return searched_for(self.policy, self.goal)

    @property
    def best(self) -> Tried:
        """The best so far: the least score of those that reach the bounds, else the closest."""
        return self._simpler or min(self.tried, key=lambda tried: tried.rank)

    def settings(self, run: TunedRun, values: dict[str, float]) -> ControlSettings:
        """A run's settings with values searched."""
        return with_values(run.slots.settings, values)

    def run(self, trials: int, seed: int, on_tried: Callable[[Tried], None]) -> None:
        """Try so many settings, those recorded first; the same seed tries the same.

        Then leave out of the best what does not matter. Interrupted (Ctrl-C), what was tried stays.

        :raises VisionScalingError: Optuna is not installed.
        """
        study = _study(seed)
        searched = self.searched
        for values in first_values(self.runs[0].slots.settings, searched, self.goal):
            study.enqueue_trial(values)
        for _ in range(trials):
            trial = study.ask()
            tried = self.try_values(suggested(trial, searched))
            for limit, excess in zip(self.goal.limits, tried.excess, strict=True):
                trial.set_constraint(limit.figure, excess)
            study.tell(trial, min(tried.score, _WORST))
            self.tried.append(tried)
            on_tried(tried)
        for name in self.best.values:
            self._without(name, on_tried)

    def try_values(self, values: dict[str, float]) -> Tried:
        """What comes of settings."""
        parts = tuple(run.play(self.policy, self.settings(run, values)) for run in self.runs)
        scores = [self.goal.score(part.searched) for part in parts]
        excess = tuple(
            max(limit.excess(part.searched, part.margins) for part in parts)
            for limit in self.goal.limits
        )
        return Tried(values, parts, math.fsum(scores) / len(scores), excess)

    def _without(self, name: str, on_tried: Callable[[Tried], None]) -> None:
        """Leave a setting as it was recorded, if that is no worse.

        But for the target where that was below what is asked for: elsewhere it may matter.
        """
        best = self.best
        recorded = [getattr(run.slots.settings, name) for run in self.runs]
        if name == 'accuracy_target_map' and min(recorded) < self.goal.target_map:
            return
        values = {key: value for key, value in best.values.items() if key != name}
        tried = self.try_values(values)
        on_tried(tried)
        if tried.rank <= best.rank:
            self._simpler = tried


def _study(seed: int) -> Any:
    try:
        import optuna  # noqa: PLC0415  (only searching needs it)
    except ModuleNotFoundError as error:
        if error.name != 'optuna':
            raise
        raise VisionScalingError(
            "searching needs Optuna: pip install 'visionscaling_ros[review]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
