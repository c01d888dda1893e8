"""One configuration at one clock, whatever happens: what people run today."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.realisation import assemble
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotDecision, SlotState


class FixedPolicy:
    """All frames in one configuration, at a fixed clock.

    Without a model named, or with one this robot lacks: the largest model that meets the accuracy
    target (the configuration of highest accuracy), at full clock, on the robot: the baseline
    everything is compared with. Frames beyond what it carries are the dispatcher's to drop.
    """

    name = 'fixed'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings

    def decide(self, forecast: Forecast) -> SlotDecision:
        """The same allocation every slot, at the rate frames arrive."""
        settings = self.settings
        at_edge = settings.fixed_origin == 'edge'
        problem = SlotProblem.build(forecast, settings, use_edge=at_edge)
        level = self._level(problem)
        carried_fps = np.zeros(len(problem.points))
        nothing = np.zeros_like(carried_fps)
        chosen = self._choice(problem.points)
        if chosen is not None:
            carried_fps[chosen] = _carried_fps(problem, chosen, level, at_edge)
        rates = (nothing, carried_fps) if at_edge else (carried_fps, nothing)
        decision = assemble(
            problem, *rates, level, slot=forecast.slot, settings=settings
        )
        allocations: tuple[Allocation, ...] = ()
        if chosen is not None and problem.arrival_fps > 0.0:
            point = problem.points[chosen]
            origin = Origin.EDGE if at_edge else Origin.LOCAL
            allocations = (
                Allocation(point.model, point.input_size_px, origin, problem.arrival_fps),
            )
        return dataclasses.replace(
            decision, allocations=allocations, tx_rate_bps=0.0, policy=self.name
        )

    def observe(self, state: SlotState) -> None:
        """Nothing is learned."""

    def _choice(self, points: tuple[OperatingPoint, ...]) -> int | None:
        settings = self.settings
        named = [
            k
            for k, p in enumerate(points)
            if settings.fixed_model in ('', p.model)
            and settings.fixed_input_size_px in (0, p.input_size_px)
        ]
        return max(
            named or range(len(points)), key=lambda k: points[k].accuracy_map, default=None
        )

    def _level(self, problem: SlotProblem) -> int:
        wanted_hz = self.settings.fixed_frequency_hz
        if wanted_hz <= 0.0:
            return len(problem.levels_hz) - 1
        distance_hz = [abs(level_hz - wanted_hz) for level_hz in problem.levels_hz]
        return distance_hz.index(min(distance_hz))


def _carried_fps(problem: SlotProblem, chosen: int, level: int, at_edge: bool) -> float:
    """What of the arriving frames one configuration can carry [frames/s]."""
    point = problem.points[chosen]
    if not at_edge:
        return min(problem.arrival_fps, 1.0 / point.local_latency_s(problem.levels_hz[level]))
    upload_bits = point.upload_bits if point.upload_bits > 0.0 else math.inf
    return min(problem.arrival_fps, float(problem.bounds[2]) / upload_bits)
