"""A recorded run to search settings on, and slots of it kept back to check them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.review.whatif.figures import Figures, figures_of
from visionscaling_ros.review.whatif.loop_error import loop_error_of
from visionscaling_ros.review.whatif.model_error import left_out_error, stretches, uncertainty_of
from visionscaling_ros.review.whatif.run_model import RunModel, fit_model
from visionscaling_ros.review.whatif.run_slots import RunSlots
from visionscaling_ros.review.whatif.slot_series import Mask, SlotSeries

LEAST_SLOTS = 25
KEPT_BACK = 0.4  # of the slots, the last ones


@dataclass(frozen=True)
class Parts:
    """Figures in the slots searched on, and in those kept back."""

    searched: Figures
    kept_back: Figures


@dataclass(frozen=True, eq=False)
class TunedRun:
    """A run with a model fitted to its first slots.

    :param name: of bag and robot, for people.
    :param searched: slots that the model is fitted to and settings are searched on, shape (T,).
    :param margins: what each figure may be off, found in the slots searched on only.
    """

    name: str
    slots: RunSlots
    model: RunModel
    searched: Mask
    margins: dict[str, float]

    def measured(self) -> Parts:
        """What was really measured."""
        return self._parts_of(self.slots.measured(self.slots.settings))

    def play(self, policy: str, settings: ControlSettings) -> Parts:
        """A policy by settings, from the first slot to the last."""
        return self._parts_of(self.model.play(policy, settings).series)

    def _parts_of(self, series: SlotSeries) -> Parts:
        nothing = np.zeros(len(series))  # regret by other weights is no measure here
        return Parts(*[
            figures_of(series.part(mask), nothing[mask]) for mask in (self.searched, ~self.searched)
        ])


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
    error = left_out_error(
        slots,
        slots.settings,
        stretches(len(slots), first),
        np.zeros(len(slots)),
        of='stretches',
        seed=seed,
        among=searched,
    )
    off = uncertainty_of(error, None, loop_error_of(model, slots.settings, searched))
    margins = {figure: margin * value for figure, value in off.items()}
    return TunedRun(name, slots, model, searched, margins)
