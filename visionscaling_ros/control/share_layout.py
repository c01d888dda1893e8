"""Shares of one slot's problem as shares of another's."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.projections import Vector


def cold_start(problem: SlotProblem) -> Vector:
    """Everything on the fastest configuration that meets the target, local, at full clock."""
    shares = np.zeros(problem.energy_j.size)
    count, levels = len(problem.points), len(problem.levels_hz)
    if count:
        top = np.arange(levels - 1, count * levels, levels)
        meets = problem.accuracy_gap_map[top] <= 0.0
        duration_s = np.where(meets, problem.rows[1, top], np.inf)
        shares[top[int(np.argmin(duration_s))]] = 1.0
    return shares


def same_layout(last: SlotProblem, problem: SlotProblem) -> bool:
    """True where both have the same configurations and clock levels."""
    if last.levels_hz != problem.levels_hz:
        return False
    return last.points is problem.points or _keys(last) == _keys(problem)


def carried_over(step: Vector, last: SlotProblem, problem: SlotProblem) -> Vector:
    """The step in the layout of a problem that may have other configurations or levels."""
    if same_layout(last, problem):
        return step
    position = {key: i for i, key in enumerate(_layout(last))}
    sources = [position.get(key, -1) for key in _layout(problem)]
    carried = np.append(step, 0.0)[sources]
    return carried if np.any(carried > 0.0) else cold_start(problem)


def _keys(problem: SlotProblem) -> list[tuple[str, int]]:
    return [(p.model, p.input_size_px) for p in problem.points]


def _layout(problem: SlotProblem) -> list[tuple[str, int, float]]:
    """What each variable stands for: model, input size, clock level; level 0: offloaded."""
    keys = _keys(problem)
    local = [(*key, level_hz) for key in keys for level_hz in problem.levels_hz]
    return local + [(*key, 0.0) for key in keys]
