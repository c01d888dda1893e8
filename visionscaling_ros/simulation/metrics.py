"""What a run comes to: regret, fit, violation, energy, frames, accuracy, latency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.simulation.conditions import Series
from visionscaling_ros.simulation.runner import Run


@dataclass(frozen=True)
class Row:
    """A policy on a trace, in a scenario, with a seed: one row of the benchmark.

    :param dynamic_regret: ``sum phi_t(x_t) - sum phi_t(x_t*)`` [-].
    :param fit: ``[sum g_t]^+`` [mAP frames/s].
    :param violation: ``sum [g_t]^+`` [mAP frames/s].
    :param energy_j_per_frame: all energy over all frames processed; NaN if none was [J].
    :param processed_fps: mean over the run [frames/s].
    :param map: accuracy of the processed frames by the table; NaN if none was.
    :param map_target: what it is to reach.
    :param latency_p95_s: 95 of 100 processed frames took at most this [s].
    :param dropped: frames that were not processed.
    :param switches: slots that ran other configurations, elsewhere, or at another clock than the
        one before.
    :param decision_s_median: time the policy took [s].
    :param decision_s_p99: the same, 99th percentile [s].
    """

    trace: str
    scenario: str
    policy: str
    seed: int
    dynamic_regret: float
    fit: float
    violation: float
    energy_j_per_frame: float
    processed_fps: float
    map: float
    map_target: float
    latency_p95_s: float
    dropped: int
    switches: int
    decision_s_median: float
    decision_s_p99: float


def summarize(run: Run, oracle_cost: Series, target: float) -> Row:
    """The figures of a run against the least cost of each slot, shape (T,)."""
    frames = float(run.processed_fps.sum()) * run.slot_s
    accuracy_sum = float(run.accuracy_sum.sum()) * run.slot_s
    return Row(
        trace=run.trace,
        scenario=run.scenario,
        policy=run.policy,
        seed=run.seed,
        dynamic_regret=float(np.sum(run.cost - oracle_cost)),
        fit=max(0.0, float(run.constraint.sum())),
        violation=float(np.maximum(run.constraint, 0.0).sum()),
        energy_j_per_frame=float(run.energy_j.sum()) / frames if frames > 0.0 else math.nan,
        processed_fps=float(run.processed_fps.mean()),
        map=accuracy_sum / frames if frames > 0.0 else math.nan,
        map_target=target,
        latency_p95_s=weighted_quantile(run.latency_s, run.latency_frames, 0.95),
        dropped=round(float(run.dropped_fps.sum()) * run.slot_s),
        switches=int(run.switched.sum()),
        decision_s_median=float(np.median(run.decision_s)),
        decision_s_p99=float(np.quantile(run.decision_s, 0.99)),
    )


def weighted_quantile(values: Series, weights: Series, quantile: float) -> float:
    """Least value that ``quantile`` of the weight does not exceed; NaN without weight."""
    total = float(weights.sum())
    if not total > 0.0:
        return math.nan
    order = np.argsort(values, kind='stable')
    reached = np.cumsum(weights[order])
    index = int(np.searchsorted(reached, quantile * total))
    return float(values[order[min(index, len(order) - 1)]])


def cumulative_regret(run: Run, oracle_cost: Series) -> Series:
    """Dynamic regret after each slot, shape (T,) [-]."""
    return np.asarray(np.cumsum(run.cost - oracle_cost), np.float64)


def cumulative_fit(run: Run) -> Series:
    """``[sum g]^+`` after each slot, shape (T,) [mAP frames/s]."""
    return np.asarray(np.maximum(np.cumsum(run.constraint), 0.0), np.float64)
