"""A recorded run to search settings on, and slots of it kept back to check them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.review.whatif.figures import Figures, figures_of
from visionscaling_ros.review.whatif.run_model import RunModel, fit_model
from visionscaling_ros.review.whatif.run_slots import RunSlots
from visionscaling_ros.review.whatif.slot_series import Mask, SlotSeries
from visionscaling_ros.review.whatif.trust import Trust, trust_in

LEAST_SLOTS = 25
KEPT_BACK = 0.4  # of the slots, the last ones


@dataclass(frozen=True)
class Parts:
    """Figures in the slots searched on, and in those kept back.

    :param known_share: share of the frames searched on that ran as some in the bag did there.
    :param margins: what each figure is to keep from its bound, in its own unit; NaN: not known.
    """

    searched: Figures
    kept_back: Figures
    known_share: float = 1.0
    margins: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TunedRun:
    """A run with a model fitted to its first slots.

    :param name: of bag and robot, for people.
    :param searched: slots that the model is fitted to and settings are searched on, shape (T,).
    :param trust: found in the slots searched on only.
    :param margin: how many times the model's error settings are to keep from the bounds.
    """

    name: str
    slots: RunSlots
    model: RunModel
    searched: Mask
    trust: Trust
    margin: float

    def measured(self) -> Parts:
        """What was really measured."""
        return self._parts_of(self.slots.measured(self.slots.settings))

    def play(self, policy: str, settings: ControlSettings) -> Parts:
        """A policy by settings, from the first slot to the last."""
        played = self.model.play(policy, settings)
        states = played.states[: int(self.searched.sum())]
        known_share = self.trust.known_share(states)
        off = self.trust.uncertainty(known_share)
        return dataclasses.replace(
            self._parts_of(played.series),
            known_share=known_share,
            margins={figure: self.margin * value for figure, value in off.items()},
        )

    def _parts_of(self, series: SlotSeries) -> Parts:
        nothing = np.zeros(len(series))  # regret by other weights is no measure here
        searched, kept_back = (
            figures_of(series.part(mask), nothing[mask]) for mask in (self.searched, ~self.searched)
        )
        return Parts(searched, kept_back)


def tuned_run(name: str, slots: RunSlots, *, margin: float, seed: int) -> TunedRun:
    """A run to search on.

    :param margin: how many times the model's error settings are to keep from the bounds.
    :raises VisionScalingError: there are too few slots to keep some back.
    """
    if len(slots) < LEAST_SLOTS:
        raise VisionScalingError(
            f'{len(slots)} decided slots: of fewer than {LEAST_SLOTS} none can be kept back to '
            'check what was found; record for longer'
        )
    first = round((1.0 - KEPT_BACK) * len(slots))
    searched = np.arange(len(slots)) < first
    model = fit_model(slots, searched, seed=seed)
    trust = trust_in(model, slots.settings, np.zeros(len(slots)), searched, seed=seed)
    return TunedRun(name, slots, model, searched, trust, margin)
