"""How far what a model foretells of a policy can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.review.whatif.figures import METRICS, figures_of
from visionscaling_ros.review.whatif.model_error import (
    ModelError,
    kinds_run,
    left_out_error,
    stretches,
)
from visionscaling_ros.review.whatif.run_model import RunModel
from visionscaling_ros.review.whatif.slot_series import Mask, Series

NO_UPLINK = 'would offload, but how much the uplink carries was never measured in the run'
UNKNOWN = 'runs what the run hardly did, and the run does not tell how wrong the model is there'
_PLENTY_BPS = 1e8
_MEASURED_FPS = 3.0  # added up over slots: of fewer frames a configuration is not measured
_MOSTLY_KNOWN = 0.9


@dataclass(frozen=True, eq=False)
class Trust:
    """What is known of a model's errors.

    :param error: in stretches of the run it was not fitted to.
    :param elsewhere: the same for configurations it was not fitted to; None: the run has too few
        of them to tell.
    :param loop_error: difference between the recorded policy, playing in the model by the settings
        recorded, and its recorded decisions there, by name of the figure: what following its own
        estimates costs.
    :param among: slots that it may be judged by, shape (T,).
    """

    model: RunModel
    error: ModelError
    elsewhere: ModelError | None
    loop_error: dict[str, float]
    among: Mask

    def known_share(self, states: Sequence[SlotState]) -> float:
        """Share of a policy's frames in configurations and places measured; NaN: no frames."""
        ran = _ran(states)
        total = sum(ran.values())
        known = sum(rate for key, rate in ran.items() if self._known.get(key, 0.0) >= _MEASURED_FPS)
        return known / total if total > 0.0 else math.nan

    @cached_property
    def _known(self) -> dict[tuple[str, int, int], float]:
        states = self.model.slots.states
        return _ran([states[t] for t in np.flatnonzero(self.among).tolist()])

    def uncertainty(self, known_share: float) -> dict[str, float]:
        """What each figure of a policy may be off, by its name, in its own unit; NaN: not known."""
        share = 1.0 if math.isnan(known_share) else known_share
        result = {}
        for metric in METRICS:
            inside = outside = self.error.by_metric[metric.name].uncertainty
            if self.elsewhere is not None:
                found = self.elsewhere.by_metric[metric.name].uncertainty
                outside = inside if math.isnan(found) else max(inside, found)
            loop = self.loop_error[metric.name]
            result[metric.name] = share * inside + (1.0 - share) * outside
            result[metric.name] += 0.0 if math.isnan(loop) else loop
        return result

    def doubt(self, policy: str, settings: ControlSettings, known_share: float) -> str:
        """Why a policy's figures cannot be trusted at all; empty: they can, within their error."""
        if self._offloads_unmeasured(policy, settings):
            return NO_UPLINK
        return UNKNOWN if self.elsewhere is None and known_share < _MOSTLY_KNOWN else ''

    def _offloads_unmeasured(self, policy: str, settings: ControlSettings) -> bool:
        """Whether it would offload over an uplink that was there, but was never measured."""
        met = self.model.slots.conditions
        if met.capacity_known.any() or not met.reachable.any():
            return False
        plenty = self.model.changed(capacity_bps=np.where(met.reachable, _PLENTY_BPS, 0.0))
        return plenty.play(policy, settings).offloads


def trust_in(
    model: RunModel,
    scored_by: ControlSettings,
    least_cost: Series,
    among: Mask,
    *,
    seed: int,
    on_played: Callable[[], None] = lambda: None,
) -> Trust:
    """Find a model's errors, in slots of ``among`` and from slots of ``among`` only.

    :param scored_by: settings that the cost is by.
    :param least_cost: cost of the best decision of each slot, shape (T,).
    """
    slots = model.slots

    def error_in(masks: Sequence[Mask], of: str) -> ModelError:
        return left_out_error(
            slots, scored_by, masks, least_cost, of=of, seed=seed, among=among, on_played=on_played
        )

    parts, kinds = stretches(among), kinds_run(slots.states, among)
    error = error_in(parts, f'each of {len(parts)} stretches')
    elsewhere = None
    if kinds:
        each = 'one configuration' if len(kinds) == 1 else f'each of {len(kinds)} configurations'
        elsewhere = error_in(kinds, each)
    loop_error = _loop_error(model, scored_by, among)
    on_played()
    return Trust(model, error, elsewhere, loop_error, among)


def checks_needed(states: Sequence[SlotState], among: Mask) -> int:
    """How often :func:`trust_in` plays the run, for a progress bar."""
    return len(stretches(among)) + len(kinds_run(states, among)) + 1


def _loop_error(model: RunModel, scored_by: ControlSettings, among: Mask) -> dict[str, float]:
    """0 for a policy there no longer is."""
    if model.slots.policy not in POLICY_NAMES:
        return {metric.name: 0.0 for metric in METRICS}
    least_cost = np.zeros(int(among.sum()))  # the same in both
    looped, recorded = (
        figures_of(played.series.part(among), least_cost)
        for played in (
            model.play(model.slots.policy, model.slots.settings, scored_by=scored_by),
            model.play_recorded(scored_by),
        )
    )
    return {m.name: abs(getattr(looped, m.name) - getattr(recorded, m.name)) for m in METRICS}


def _ran(states: Sequence[SlotState]) -> dict[tuple[str, int, int], float]:
    """Frames/s, added up over slots, of each configuration and place."""
    ran: dict[tuple[str, int, int], float] = {}
    for state in states:
        for a in state.processed:
            key = a.model, a.input_size_px, int(a.origin)
            ran[key] = ran.get(key, 0.0) + a.rate_fps
    return ran
