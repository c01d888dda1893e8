"""What a search came to, as one thing to print, plot and write."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from visionscaling_ros.review.tune.goal import Goal, Limit
from visionscaling_ros.review.tune.search import Search, Tried
from visionscaling_ros.review.tune.searched import with_values
from visionscaling_ros.review.tune.tuned_run import Parts, TunedRun
from visionscaling_ros.review.whatif.figures import METRIC


@dataclass(frozen=True, eq=False)
class Compared:
    """A run before and after.

    :param before: the recorded policy and settings, in the model.
    :param after: the tuned ones.
    """

    run: TunedRun
    measured: Parts
    before: Parts
    after: Parts


@dataclass(frozen=True, eq=False)
class TuneResult:
    """The best settings found.

    :param changes: parameters that differ from what was recorded, the policy among them.
    :param policy: the one tuned.
    :param interrupted: the search ended before its last trial.
    """

    goal: Goal
    policy: str
    best: Tried
    changes: dict[str, float | str]
    tried: tuple[Tried, ...]
    compared: tuple[Compared, ...]
    interrupted: bool

    @property
    def reached(self) -> bool:
        """The bounds are kept in the slots searched on, with the model's error to spare."""
        return self.best.reaches

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the figures of some run are to be doubted, in words."""
        words = []
        for compared in self.compared:
            run, after = compared.run, compared.after
            settings = with_values(run.slots.settings, self.best.values)
            doubt = run.trust.doubt(self.policy, settings, after.known_share)
            words += [f'In {run.name} it {doubt}.'] * bool(doubt)
            words += [
                f'{METRIC[limit.figure].long} was not measured where searched in {run.name}: '
                'its bound is kept by the model alone, with nothing to spare.'
                for limit in self.goal.limits
                if math.isnan(after.margins[limit.figure])
            ]
        return tuple(words)

    @property
    def missed_when_checked(self) -> tuple[tuple[Compared, Limit], ...]:
        """Bounds that the slots kept back miss."""
        return tuple(
            (compared, limit)
            for compared in self.compared
            for limit in self.goal.limits
            if limit.excess(compared.after.kept_back) > 0.0
        )


def result_of(search: Search, *, interrupted: bool) -> TuneResult:
    """The result so far of a search that has tried something."""
    best, runs = search.best, search.runs
    changes: dict[str, float | str] = {
        name: value
        for name, value in best.values.items()
        if any(getattr(run.slots.settings, name) != value for run in runs)
    }
    if any(run.slots.policy != search.policy for run in runs):
        changes['policy'] = search.policy
    compared = tuple(
        Compared(run, run.measured(), run.play(run.slots.policy, run.slots.settings), after)
        for run, after in zip(runs, best.parts, strict=True)
    )
    return TuneResult(
        goal=search.goal,
        policy=search.policy,
        best=best,
        changes=changes,
        tried=tuple(search.tried),
        compared=compared,
        interrupted=interrupted,
    )


def comments_of(result: TuneResult, bags: Sequence[str], seed: int) -> list[str]:
    """What whoever reads the parameter file should know."""
    goal = result.goal
    lines = [f'visionscaling tune {" ".join(bags)} (seed {seed}): {goal.words}']
    if not result.reached:
        lines.append('NOT REACHED with the error of the model to spare: these come closest')
    for compared in result.compared:
        run, after = compared.run, compared.after
        lines.append(f'{run.name}: expected, by the model, where searched / where checked:')
        for name, metric in goal.figures:
            texts = [metric.text(getattr(part, name)) for part in (after.searched, after.kept_back)]
            off = metric.text(after.margins[name])
            lines.append(f'  {metric.long}: {texts[0]} / {texts[1]}, off by up to {off}')
    lines += [
        f'bound missed where checked: {compared.run.name}: {limit.words}'
        for compared, limit in result.missed_when_checked
    ]
    return [*lines, *result.doubts]


def tune_document(result: TuneResult, bags: Sequence[str], seed: int) -> dict[str, Any]:
    """All there is to know, as data for a JSON file."""
    return {
        'bags': list(bags),
        'seed': seed,
        'goal': dataclasses.asdict(result.goal),
        'policy': result.policy,
        'reached': result.reached,
        'interrupted': result.interrupted,
        'changes': result.changes,
        'doubts': list(result.doubts),
        'limits': [
            {'figure': limit.figure, 'value': limit.value, 'excess': excess}
            for limit, excess in zip(result.goal.limits, result.best.excess, strict=True)
        ],
        'runs': [
            {
                'name': compared.run.name,
                **{
                    which: dataclasses.asdict(getattr(compared, which))
                    for which in ('measured', 'before', 'after')
                },
            }
            for compared in result.compared
        ],
        'trials': [
            {'values': t.values, 'score': t.score, 'excess': t.excess, 'reaches': t.reaches}
            for t in result.tried
        ],
    }
