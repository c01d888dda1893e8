"""Saddle-point learners side by side: always feasible, near the exact projection."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from control_examples import DEVICE, FORECAST, LARGE, MIDDLE, POINTS, SETTINGS, SMALL, forecast
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings, DeviceModel
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.problem import SlotProblem
from visionscaling_ros.control.saddle_learners import (
    STEP_FACTORS,
    SaddlePointLearners,
    _project,
)
from visionscaling_ros.control.slot_plan import SlotPlans
from visionscaling_ros.control.units import gradient_unit, largest_gap_map

LEARNERS = len(STEP_FACTORS)
UNIT = gradient_unit(PointTable.build(POINTS, DEVICE), SETTINGS)

seeds = st.integers(0, 2**32 - 1)
slots = st.builds(
    Forecast,
    slot=st.just(0),
    slot_s=st.just(1.0),
    arrival_fps=st.floats(0.01, 200.0),
    capacity_bps=st.one_of(st.sampled_from([math.nan, 0.0]), st.floats(1.0, 1e8)),
    server_share=st.one_of(st.sampled_from([math.nan, 0.0, 1.0]), st.floats(0.0, 1.0)),
    edge_reachable=st.booleans(),
    operating_points=st.sampled_from(
        [POINTS, (SMALL,), (MIDDLE, LARGE), (dataclasses.replace(LARGE, gpu_work_ghz_s=0.5), SMALL)]
    ),
    device=st.sampled_from([DEVICE, DeviceModel(), DeviceModel((2e8, 1.3e9), 0.0, 0.0)]),
)


def moved(
    learners: SaddlePointLearners,
    asked: Forecast,
    *,
    multiplier: float = 0.0,
    unit: float = UNIT,
    wishes: ControlSettings = SETTINGS,
) -> tuple[SlotProblem, SlotPlans]:
    problem = SlotProblem.build(asked, wishes, True)
    return problem, learners.plans(problem, wishes, multiplier, unit)


def assert_feasible(problem: SlotProblem, plans: SlotPlans) -> None:
    slack = 1.0 + 1e-6
    table, (_, ceiling, capacity_bps, share) = problem.table, problem.bounds
    assert plans.local_fps.shape == plans.edge_fps.shape == (LEARNERS, len(table.points))
    for n in range(LEARNERS):
        local_fps, edge_fps = plans.local_fps[n], plans.edge_fps[n]
        assert np.all(np.isfinite(local_fps))
        assert np.all(np.isfinite(edge_fps))
        assert np.all(local_fps >= 0.0)
        assert np.all(edge_fps >= 0.0)
        assert local_fps.sum() + edge_fps.sum() <= problem.arrival_fps * slack
        assert local_fps @ table.local_s[plans.level[n]] <= ceiling * slack
        assert edge_fps @ table.upload_bits <= capacity_bps * slack
        assert edge_fps @ table.server_s <= share * slack + 1e-12


@given(
    st.lists(st.tuples(slots, st.floats(0.0, 1e6)), min_size=1, max_size=8),
    st.sampled_from([0.01, 1.0, 1e3]),
    st.sampled_from([1e-9, UNIT, 1e3]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_plans_are_feasible(
    sequence: list[tuple[Forecast, float]], primal_step: float, unit: float
) -> None:
    """Other configurations, other clocks, no uplink, prices and steps beyond all sense."""
    learners = SaddlePointLearners()
    wishes = dataclasses.replace(SETTINGS, primal_step=primal_step)
    with np.errstate(all='raise', under='ignore'):
        for asked, multiplier in sequence:
            assert_feasible(
                *moved(learners, asked, multiplier=multiplier, unit=unit, wishes=wishes)
            )


def test_first_plans_are_on_the_safe_side() -> None:
    problem, plans = moved(SaddlePointLearners(), forecast(edge_reachable=False))
    merit = plans.local_fps @ problem.table.accuracy_map
    assert np.all(merit >= SETTINGS.accuracy_target_map * plans.local_fps.sum(axis=1) - 1e-9)
    assert plans.local_fps.sum(axis=1) == pytest.approx(FORECAST.arrival_fps)


def test_frames_of_a_link_that_died_are_run_here() -> None:
    learners = SaddlePointLearners()
    for _ in range(60):
        _, plans = moved(learners, FORECAST, multiplier=0.05)
    assert plans.edge_fps.sum() > 0.0
    for _ in range(2):
        _, plans = moved(learners, forecast(edge_reachable=False), multiplier=0.05)
    assert not plans.edge_fps.any()
    assert np.all(plans.local_fps.sum(axis=1) > 0.8 * FORECAST.arrival_fps)


def test_new_configurations_keep_what_was_learned_of_the_others() -> None:
    learners, other = SaddlePointLearners(), SaddlePointLearners()
    without = forecast(edge_reachable=False, operating_points=(LARGE, MIDDLE))
    for _ in range(40):
        for each in (learners, other):
            moved(each, without, multiplier=0.02)
    _, same = moved(other, without, multiplier=0.02)
    more = forecast(edge_reachable=False)
    _, plans = moved(learners, more, multiplier=0.02)
    apart = np.abs(plans.local_fps[:, [0, 2]] - same.local_fps).sum(axis=1)
    assert np.all(apart < 0.5 * FORECAST.arrival_fps)


@pytest.mark.parametrize('multiplier', [0.0, 1.0])
def test_a_dear_accuracy_is_bought_and_a_free_one_is_not(multiplier: float) -> None:
    learners = SaddlePointLearners()
    for _ in range(300):
        problem, plans = moved(learners, forecast(edge_reachable=False), multiplier=multiplier)
    rate_fps = plans.local_fps.sum(axis=1)
    mean_map = plans.local_fps @ problem.table.accuracy_map / rate_fps
    expected = LARGE.accuracy_map if multiplier > 0.0 else SMALL.accuracy_map
    assert mean_map[1:] == pytest.approx(expected, abs=0.06)


# ---- the projection

def wandering(seed: int, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Distances to the exact projection, and of the points from where they came, per slot."""
    rng = np.random.default_rng(seed)
    capacity_bps, prices, x = 2e6, np.zeros((3, 4)), np.zeros((3, 15))
    errors, steps = [], []
    for _ in range(count):
        capacity_bps *= math.exp(0.2 * rng.normal() - 0.05 * math.log(capacity_bps / 2e6))
        asked = forecast(
            arrival_fps=20.0 * math.exp(0.05 * rng.normal()),
            capacity_bps=capacity_bps,
            server_share=float(rng.choice([1.0, 0.05, 0.01], p=[0.8, 0.1, 0.1])),
        )
        problem = SlotProblem.build(asked, SETTINGS, True)
        point = x + rng.normal(size=x.shape) * np.array([[0.02], [0.08], [0.3]])
        point = np.where(problem.admissible, point, 0.0)
        start = x
        x, prices = _project(point, problem, prices)
        assert np.all(x >= 0.0)
        assert np.all(x @ problem.rows.T <= problem.bounds * (1.0 + 1e-9))
        exact = np.stack([problem.project(each) for each in point])
        nearest = np.linalg.norm(exact - point, axis=1)
        assert np.all(np.linalg.norm(x - point, axis=1) >= nearest - 1e-7)
        errors.append(np.linalg.norm(x - exact, axis=1))
        steps.append(np.linalg.norm(point - start, axis=1))
    return errors, steps


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_projection_is_nearly_the_exact_one(seed: int) -> None:
    """On average within 3 % of the step that was taken; nine of ten within 5 %."""
    errors, steps = wandering(seed, 150)
    off = np.concatenate(errors) / np.concatenate(steps)
    assert np.mean(off) < 0.03
    assert np.quantile(off, 0.9) < 0.05


def test_a_feasible_point_stays() -> None:
    problem = SlotProblem.build(FORECAST, SETTINGS, True)
    inside = np.tile(problem.project(np.full(problem.energy_j.size, 0.01)), (2, 1))
    x, prices = _project(inside, problem, np.zeros((2, 4)))
    assert np.array_equal(x, inside)
    assert not prices.any()


# ---- what counts as 1

def test_units_are_those_of_the_dearest_frame_and_the_largest_gap() -> None:
    table = PointTable.build(POINTS, DEVICE)
    dearest_j = max(
        DEVICE.gpu_dynamic_power_w(hz) * p.local_latency_s(hz)
        for p in POINTS for hz in DEVICE.clock_levels_hz
    )  # fmt: skip
    assert gradient_unit(table, SETTINGS) == pytest.approx(dearest_j / DEVICE.p_max_w)
    assert largest_gap_map(table, SETTINGS) == pytest.approx(0.15)
    # A target nobody reaches counts from the best there is.
    beyond = dataclasses.replace(SETTINGS, accuracy_target_map=0.99)
    assert largest_gap_map(table, beyond) == pytest.approx(LARGE.accuracy_map - SMALL.accuracy_map)


def test_units_are_never_nothing() -> None:
    free = PointTable.build(POINTS, DeviceModel())
    assert gradient_unit(free, SETTINGS) == pytest.approx(20.0 / 30.0)
    alike = PointTable.build((MIDDLE,), DEVICE)
    assert largest_gap_map(alike, SETTINGS) == 0.01
    nothing = PointTable.build((), DEVICE)
    assert gradient_unit(nothing, SETTINGS) > 0.0
    assert largest_gap_map(nothing, SETTINGS) > 0.0
