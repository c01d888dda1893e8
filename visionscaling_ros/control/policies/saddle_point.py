"""VisionScaling's online convex optimisation: a modified online saddle point."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.insurance import ClockInsurance
from visionscaling_ros.control.point_table import PointTableCache
from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.realisation import compose, lowest_level, rounded
from visionscaling_ros.control.revealed import Revealed
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.share_layout import carried_over, cold_start
from visionscaling_ros.control.slot_plan import SlotPlans
from visionscaling_ros.control.units import gradient_unit, largest_gap_map
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState


class SaddlePointPolicy:
    """Modified online saddle point (MOSP) on last slot's cost gradient and constraint.

    With ``y_t`` the shares of the arriving frames in slot t, phi the cost, g the accuracy
    constraint and Y_t the set feasible in the slot forecast:

        lam_t   = [ lam_{t-1} + mu g_{t-1}(y_{t-1}) ]^+
        y_t     = Proj_{Y_t}[ y_{t-1} - alpha ( grad phi_{t-1}(y_{t-1}) + lam_t grad g_{t-1} ) ]

    (Chen, Ling, Giannakis 2017, arXiv 1701.03974; statement as known in general, not checked
    against the full paper. That VisionScaling, IEEE IoT-J 2024, uses this rule is our reading of
    its abstract; its full text was not available.)

    Ours: ``y_{t-1}`` and ``g_{t-1}`` are what really ran; the projection is onto the set of the
    coming slot, so that a dead link or a new capacity counts at once; steps and multiplier are in
    units in which the dearest local frame costs 1, the largest distance from the accuracy target
    is 1, and so is the full frame rate, so that they suit any device.

    While lam stays above 0 the constraint sums up to (lam - lam_0) / mu: with lam* the multiplier
    at rest, a larger mu or lam_0 meets the target sooner, at a higher cost meanwhile.

    The clock of the slot is the lowest that carries the rates, or a higher one where that is a
    cheap insurance (:class:`ClockInsurance`).
    """

    name = 'visionscaling'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._tables = PointTableCache(only_efficient=True)
        self._insurance = ClockInsurance()
        self._expected: tuple[Revealed, bool] | None = None
        self._last: SlotProblem | None = None
        self._shares: Vector = np.zeros(0)
        self._price = settings.initial_multiplier  # the multiplier in its natural unit

    def decide(self, forecast: Forecast) -> SlotDecision:
        """Take the primal step and turn it into one clock and a few allocations."""
        table = self._tables.get(forecast.operating_points, forecast.device)
        problem = SlotProblem.build(forecast, self.settings, self.settings.allow_edge, table)
        shares = problem.project(self._primal_step(problem))
        if forecast.exploration_fps > 0.0:
            shares = _with_exploration(shares, problem, forecast.exploration_fps)
        self._last, self._shares = problem, shares
        unit, spread = self._units(problem)
        multiplier = self._price * unit / spread
        local_fps = rounded(problem.local_fps(shares), self.settings)
        edge_fps = rounded(problem.edge_fps(shares), self.settings)
        level = lowest_level(local_fps, problem)
        if table.points and 0.0 < forecast.arrival_fps < math.inf:
            level = self._insured_level(problem, forecast, (level, local_fps, edge_fps), multiplier)
        return compose(
            table,
            local_fps,
            edge_fps,
            level,
            slot=forecast.slot,
            arrival_fps=forecast.arrival_fps,
            settings=self.settings,
            policy=self.name,
            multiplier=multiplier,
        )

    def _insured_level(
        self,
        problem: SlotProblem,
        forecast: Forecast,
        plan: tuple[int, Vector, Vector],
        multiplier: float,
    ) -> int:
        expected = Revealed(
            forecast.arrival_fps, float(problem.bounds[2]), float(problem.bounds[3])
        )
        self._expected = expected, forecast.exploration_fps > 0.0
        capacities_bps = forecast.capacity_quantiles_bps or (expected.capacity_bps,)
        plans, _ = self._insurance.insured(
            SlotPlans.of_one(*plan),
            problem.table,
            expected=expected,
            capacities_bps=capacities_bps,
            price=multiplier,
            settings=self.settings,
        )
        return int(plans.level[0])

    def observe(self, state: SlotState) -> None:
        """Take what ran as the iterate and move the multiplier by the constraint it gave."""
        problem = self._last
        if problem is None or not (math.isfinite(state.arrival_fps) and state.arrival_fps > 0.0):
            return
        if self._expected is not None:
            expected, explored = self._expected
            self._insurance.observe(Revealed.of(state, expected), expected, explored=explored)
        self._shares = self._measured_shares(problem, state)
        _, spread = self._units(problem)
        constraint = float(problem.accuracy_gap_map @ self._shares) * state.arrival_fps
        natural = constraint / (spread * self.settings.full_rate_fps)
        price = self._price + self.settings.dual_step * natural
        self._price = min(max(price, 0.0), self.settings.max_multiplier)

    def _primal_step(self, problem: SlotProblem) -> Vector:
        """Where last slot's gradients lead, before projection, in the layout of ``problem``."""
        last = self._last
        if last is None or not self._shares.any():
            return cold_start(problem)
        unit, spread = self._units(last)
        slope = last.cost_slope(self._shares, self.settings) / unit
        slope = slope + self._price * last.accuracy_gap_map / spread
        step = self._shares - self.settings.primal_step * slope
        return carried_over(step, last, problem)

    def _units(self, problem: SlotProblem) -> tuple[float, float]:
        """What counts as 1: cost of a frame/s, accuracy gap."""
        table, settings = problem.table, self.settings
        return gradient_unit(table, settings), largest_gap_map(table, settings)

    def _measured_shares(self, problem: SlotProblem, state: SlotState) -> Vector:
        """What ran as shares of the frames that arrived; local frames at the levels decided."""
        processed_fps = state.processed_local_fps + state.processed_edge_fps
        if not state.processed and processed_fps > 0.0:  # not told which: as decided
            return self._shares
        count, levels = len(problem.points), len(problem.levels_hz)
        index = {(p.model, p.input_size_px): k for k, p in enumerate(problem.points)}
        local = self._shares[: count * levels].reshape(count, levels)
        measured = np.zeros((count, levels))
        edge = np.zeros(count)
        clock = int(np.argmin(np.abs(np.array(problem.levels_hz) - _clock_hz(state, problem))))
        for ran in state.processed:
            k = index.get((ran.model, ran.input_size_px))
            if k is None or not (math.isfinite(ran.rate_fps) and ran.rate_fps > 0.0):
                continue
            share = min(ran.rate_fps / state.arrival_fps, 1.0)
            if ran.origin is not Origin.LOCAL:
                edge[k] += share
            elif local[k].any():
                measured[k] += share * local[k] / local[k].sum()
            else:
                measured[k, clock] += share
        ran_shares = np.concatenate([measured.ravel(), edge])
        return ran_shares / max(1.0, float(ran_shares.sum()))


def _clock_hz(state: SlotState, problem: SlotProblem) -> float:
    known = math.isfinite(state.gpu_frequency_hz)
    return state.gpu_frequency_hz if known else problem.levels_hz[-1]


def _with_exploration(shares: Vector, problem: SlotProblem, exploration_fps: float) -> Vector:
    """Move so many frames of the configuration most in use to the edge, if it can be reached."""
    count = len(problem.points)
    edge = shares[shares.size - count :]
    missing = min(1.0, exploration_fps / max(problem.arrival_fps, 1e-9)) - float(edge.sum())
    if missing <= 0.0 or not np.any(problem.admissible[shares.size - count :]):
        return shares
    most = int(np.argmax(shares[: shares.size - count]))
    explored = shares.copy()
    explored[most] = max(0.0, explored[most] - missing)
    explored[shares.size - count + most // len(problem.levels_hz)] += missing
    return problem.project(explored)
