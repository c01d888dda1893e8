"""Why a decision is what it is: limits reached, and the best that was not chosen."""

from __future__ import annotations

import dataclasses

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.limits import explain_limits
from visionscaling_ros.control.point_table import PointTable, PointTableCache
from visionscaling_ros.control.runner_up import RunnerUpFinder
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Explanation, SlotDecision


class Explainer:
    """Explains decisions one after the other; faster than :func:`explain`, and to the same result.

    What it keeps is derived from the configurations, the device and the settings, and made anew
    when one of them is another object.
    """

    def __init__(self) -> None:
        self._tables = PointTableCache()
        self._runner_up = RunnerUpFinder()

    def explain(
        self, decision: SlotDecision, forecast: Forecast, settings: ControlSettings
    ) -> Explanation:
        """Why ``decision`` is what it is, for the slot forecast under ``settings``.

        Defined for every decision of every policy. The runner-up may have the lower penalized cost:
        a policy that searches no optimum leaves one, and the others weigh what an expected cost
        does not show (what may come otherwise, their experience, what switching costs).
        """
        table = self._tables.get(forecast.operating_points, forecast.device)
        limits = explain_limits(decision, forecast, settings, table)
        penalized_cost = _penalized_cost(decision, settings, table)
        other = self._runner_up.find(decision, forecast, settings, table)
        if other is None:
            return dataclasses.replace(limits, penalized_cost=penalized_cost)
        return dataclasses.replace(
            limits,
            penalized_cost=penalized_cost,
            runner_up=other.allocations,
            runner_up_frequency_hz=other.gpu_frequency_hz,
            runner_up_power_w=other.expected_power_w,
            runner_up_processed_fps=other.expected_processed_fps,
            runner_up_map=other.expected_map,
            runner_up_cost=other.expected_cost,
            runner_up_penalized_cost=_penalized_cost(other, settings, table),
        )


def explain(decision: SlotDecision, forecast: Forecast, settings: ControlSettings) -> Explanation:
    """As :meth:`Explainer.explain`, for a decision on its own."""
    return Explainer().explain(decision, forecast, settings)


def _penalized_cost(decision: SlotDecision, settings: ControlSettings, table: PointTable) -> float:
    """``phi + lambda g``, with the target the policies work to [-]."""
    processed_fps = decision.expected_processed_fps
    if not processed_fps > 0.0:
        return decision.expected_cost
    gap_map = table.reachable_target_map(settings) - decision.expected_map
    return decision.expected_cost + decision.multiplier * processed_fps * gap_map
