"""What each policy would have come to in a recorded run, and how far to trust that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.review.whatif.figures import METRICS, Figures, figures_of
from visionscaling_ros.review.whatif.loop_error import loop_error_of
from visionscaling_ros.review.whatif.model_error import (
    ModelError,
    kinds_run,
    left_out_error,
    stretches,
    uncertainty_of,
)
from visionscaling_ros.review.whatif.run_model import RunModel, fit_model
from visionscaling_ros.review.whatif.run_slots import RunSlots, limits_of

MEASURED, RECORDED = 'measured', 'recorded'
NO_UPLINK = 'would offload, but how much the uplink carries was never measured in the run'
_PLENTY_BPS = 1e8
_MEASURED_FPS = 3.0  # added up over slots: of fewer frames a configuration is not measured


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
    :param error: of the model, in stretches of the run it was not fitted to.
    :param error_elsewhere: the same for configurations it was not fitted to; None: the run has too
        few of them to tell.
    :param loop_error: difference between the recorded policy, playing in the model by the settings
        recorded, and its recorded decisions there: what following its own estimates costs.
    :param limits: what limits what can be said, in words.
    """

    namespace: str
    policy: str
    settings: ControlSettings
    rows: tuple[Estimate, ...]
    error: ModelError
    error_elsewhere: ModelError | None
    loop_error: dict[str, float]
    limits: tuple[str, ...]
    model: RunModel


def plays_needed(slots: RunSlots, policies: Sequence[str]) -> int:
    """How often :func:`what_if` plays the run, for a progress bar."""
    left_out = len(stretches(len(slots))) + len(kinds_run(slots.states))
    return left_out + 3 + len(policies)


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
    model = fit_model(slots, np.ones(len(slots), np.bool_), seed=seed)
    least_cost = model.least_cost(settings)
    on_played()

    def error_in(masks: Sequence[np.ndarray], of: str) -> ModelError:
        return left_out_error(
            slots, settings, masks, least_cost, of=of, seed=seed, on_played=on_played
        )

    parts, kinds = stretches(len(slots)), kinds_run(slots.states)
    error = error_in(parts, f'each of {len(parts)} stretches')
    elsewhere = None
    if kinds:
        elsewhere = error_in(kinds, f'each of {len(kinds)} configurations')
    measured = slots.measured(settings)
    recorded = model.play_recorded(settings)
    on_played()
    loop_error = loop_error_of(model, settings)
    on_played()
    known = _ran(slots.states)
    rows = [
        Estimate(MEASURED, figures_of(measured, least_cost)),
        Estimate(RECORDED, figures_of(recorded.series, least_cost)),
    ]
    for name in policies:
        played = model.play(name, settings)
        on_played()
        figures = figures_of(played.series, least_cost)
        share = _known_share(played.states, known)
        uncertainty = uncertainty_of(error, elsewhere, loop_error, share)
        alike = _alike(figures, rows[1].figures, uncertainty)
        doubt = NO_UPLINK if _offloads_unknown(model, name, settings) else ''
        rows.append(Estimate(name, figures, share, uncertainty, alike, doubt))
    limits = list(limits_of(slots))
    if elsewhere is None:
        limits.append(
            'the run kept to one configuration: the error in configurations it did not run '
            'cannot be told'
        )
    return WhatIf(
        namespace=slots.run.namespace,
        policy=slots.policy,
        settings=settings,
        rows=tuple(rows),
        error=error,
        error_elsewhere=elsewhere,
        loop_error=loop_error,
        limits=tuple(limits),
        model=model,
    )


def _offloads_unknown(model: RunModel, policy: str, settings: ControlSettings) -> bool:
    """Whether a policy would offload over an uplink that was there, but was never measured."""
    met = model.slots.conditions
    if met.capacity_known.any() or not met.reachable.any():
        return False
    plenty = model.changed(capacity_bps=np.where(met.reachable, _PLENTY_BPS, 0.0))
    return plenty.play(policy, settings).offloads


def _ran(states: Sequence[SlotState]) -> dict[tuple[str, int, int], float]:
    """Frames/s, added up over slots, of each configuration and place."""
    ran: dict[tuple[str, int, int], float] = {}
    for state in states:
        for a in state.processed:
            key = a.model, a.input_size_px, int(a.origin)
            ran[key] = ran.get(key, 0.0) + a.rate_fps
    return ran


def _known_share(states: Sequence[SlotState], known: dict[tuple[str, int, int], float]) -> float:
    ran = _ran(states)
    total = sum(ran.values())
    seen = sum(rate for key, rate in ran.items() if known.get(key, 0.0) >= _MEASURED_FPS)
    return seen / total if total > 0.0 else math.nan


def _alike(
    figures: Figures, recorded: Figures, uncertainty: dict[str, float]
) -> frozenset[str]:
    alike = set()
    for metric in METRICS:
        difference = abs(getattr(figures, metric.name) - getattr(recorded, metric.name))
        if difference <= uncertainty[metric.name]:  # so not where one is NaN
            alike.add(metric.name)
    return frozenset(alike)
