"""What each policy would have come to in a recorded run, and how far to trust that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.review.whatif.figures import METRICS, Figures, figures_of
from visionscaling_ros.review.whatif.run_model import RunModel, fit_model
from visionscaling_ros.review.whatif.run_slots import RunSlots, limits_of
from visionscaling_ros.review.whatif.slot_series import Mask
from visionscaling_ros.review.whatif.trust import Trust, checks_needed, trust_in

MEASURED, RECORDED = 'measured', 'recorded'


@dataclass(frozen=True)
class Estimate:
    """A row of the table.

    :param policy: 'measured': what was; 'recorded': the decisions recorded, in the model.
    :param known_share: share of its frames that ran in a configuration and place that the bag has
        measured; the rest stands on what the robot was told of them.
    :param uncertainty: what each figure may be off, by its name, in its own unit.
    :param doubt: why the row cannot be trusted at all; empty: it can, within its uncertainty.
    :param like_recorded: figures that differ from the model's row of the recorded decisions by no
        more than that: not to be told apart.
    """

    policy: str
    figures: Figures
    known_share: float = 1.0
    uncertainty: dict[str, float] | None = None
    like_recorded: frozenset[str] = frozenset()
    doubt: str = ''


@dataclass(frozen=True, eq=False)
class WhatIf:
    """A run, and what policies would have made of it.

    :param rows: measured, recorded, then the policies asked about.
    :param limits: what limits what can be said, in words.
    """

    namespace: str
    policy: str
    settings: ControlSettings
    rows: tuple[Estimate, ...]
    trust: Trust
    limits: tuple[str, ...]
    model: RunModel


def plays_needed(slots: RunSlots, policies: Sequence[str]) -> int:
    """How often :func:`what_if` plays the run, for a progress bar."""
    return checks_needed(slots.states, _every(slots)) + 2 + len(policies)


def what_if(
    slots: RunSlots,
    policies: Sequence[str],
    settings: ControlSettings,
    *,
    seed: int = 0,
    on_played: Callable[[], None] = lambda: None,
) -> WhatIf:
    """Estimate every policy in a run; the same arguments give the same figures.

    :param settings: what policies are played and all rows are scored by.
    :param on_played: called whenever the run was played once.
    :raises InvalidValueError: there is no such policy.
    """
    model = fit_model(slots, _every(slots), seed=seed)
    least_cost = model.least_cost(settings)
    on_played()
    trust = trust_in(model, settings, least_cost, _every(slots), seed=seed, on_played=on_played)
    measured = slots.measured(settings)
    recorded = model.play_recorded(settings)
    on_played()
    rows = [
        Estimate(MEASURED, figures_of(measured, least_cost)),
        Estimate(RECORDED, figures_of(recorded.series, least_cost)),
    ]
    for name in policies:
        played = model.play(name, settings)
        on_played()
        figures = figures_of(played.series, least_cost)
        share = trust.known_share(played.states)
        uncertainty = trust.uncertainty(share)
        alike = _alike(figures, rows[1].figures, uncertainty)
        doubt = trust.doubt(name, settings, share)
        rows.append(Estimate(name, figures, share, uncertainty, alike, doubt))
    limits = list(limits_of(slots))
    if trust.elsewhere is None:
        limits.append(
            'the run kept to one configuration: the error in configurations it did not run '
            'cannot be told'
        )
    return WhatIf(
        namespace=slots.run.namespace,
        policy=slots.policy,
        settings=settings,
        rows=tuple(rows),
        trust=trust,
        limits=tuple(limits),
        model=model,
    )


def _every(slots: RunSlots) -> Mask:
    return np.ones(len(slots), np.bool_)


def _alike(
    figures: Figures, recorded: Figures, uncertainty: dict[str, float]
) -> frozenset[str]:
    alike = set()
    for metric in METRICS:
        difference = abs(getattr(figures, metric.name) - getattr(recorded, metric.name))
        if difference <= uncertainty[metric.name]:  # so not where one is NaN
            alike.add(metric.name)
    return frozenset(alike)
