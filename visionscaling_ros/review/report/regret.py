"""What every recorded slot would have cost at best, had it been known beforehand."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.review.recorded_run import RecordedRun
from visionscaling_ros.review.report.run_series import Series
from visionscaling_ros.review.whatif.run_model import fit_model
from visionscaling_ros.review.whatif.run_slots import run_slots


def optimal_costs(run: RecordedRun) -> tuple[Series, str]:
    """Least cost of every slot with its accuracy target met in it, shape (T,); NaN: not known.

    By the model that ``visionscaling whatif`` fits to the run, and by the settings in force in
    each slot. A slot is taken by itself, so a run whose slots make good for one another may cost
    less. Beside it, why nothing is known, in words; empty where something is.
    """
    costs = np.full(len(run.slots), math.nan)
    try:
        slots = run_slots(run)
        model = fit_model(slots, np.ones(len(slots), np.bool_))
        decided = np.array([slot.decision is not None for slot in run.slots])
        versions = np.array([slot.settings.version for slot in run.slots])
        for settings in run.settings:
            chosen = versions == settings.version
            if chosen.any():
                least = np.full(len(run.slots), math.nan)
                least[decided] = model.least_cost(settings.settings)
                costs[chosen] = least[chosen]
    except VisionScalingError as error:
        return costs, str(error)
    return costs, ''
