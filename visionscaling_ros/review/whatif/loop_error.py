"""How far a policy strays when it follows a model, not the robot."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.review.whatif.figures import METRICS, figures_of
from visionscaling_ros.review.whatif.run_model import RunModel
from visionscaling_ros.review.whatif.slot_series import Mask


def loop_error_of(
    model: RunModel, scored_by: ControlSettings, kept: Mask | None = None
) -> dict[str, float]:
    """Difference between the recorded policy in the model and its recorded decisions there.

    By name of the figure, in its own unit; 0 for a policy there no longer is.

    :param scored_by: settings that the cost is by; the policy plays by those recorded.
    :param kept: slots to compare, shape (T,); None: all.
    """
    if model.slots.policy not in POLICY_NAMES:
        return {metric.name: 0.0 for metric in METRICS}
    slots = np.ones(len(model.slots), np.bool_) if kept is None else kept
    least_cost = np.zeros(int(slots.sum()))  # the same in both
    looped, recorded = (
        figures_of(played.series.part(slots), least_cost)
        for played in (
            model.play(model.slots.policy, model.slots.settings, scored_by=scored_by),
            model.play_recorded(scored_by),
        )
    )
    return {m.name: abs(getattr(looped, m.name) - getattr(recorded, m.name)) for m in METRICS}
