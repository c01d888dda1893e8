"""Projection onto a packing polytope: feasible, idempotent, optimal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from visionscaling_ros.control.projections import project_packing_polytope

Instance = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def instances(draw: st.DrawFn, most: int = 40) -> Instance:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, m = draw(st.integers(1, most)), draw(st.integers(1, 4))
    sparsity = draw(st.sampled_from([0.3, 0.7, 1.0]))
    rows = rng.random((m, n)) * (rng.random((m, n)) < sparsity)
    rows *= 10.0 ** rng.uniform(-3, 3, (m, 1))
    bounds = rng.random(m) * 10.0 ** rng.uniform(-2, 2, m)
    bounds[rng.random(m) < draw(st.sampled_from([0.0, 0.3]))] = 0.0
    point = rng.normal(size=n) * 10.0 ** draw(st.integers(-2, 2))
    if draw(st.booleans()):  # ties
        point = np.round(point, 1)
        rows = np.round(rows, 1)
    return point, rows, bounds


@given(instances())
@settings(max_examples=400, deadline=None)
def test_is_feasible_and_idempotent(instance: Instance) -> None:
    point, rows, bounds = instance
    x = project_packing_polytope(point, rows, bounds)
    assert np.all(x >= 0.0)
    assert np.all(rows @ x <= bounds * (1.0 + 1e-12) + 1e-300)
    again = project_packing_polytope(x, rows, bounds)
    assert again == pytest.approx(x, abs=1e-9 * (1.0 + np.abs(point).max()))


@given(instances())
@settings(max_examples=200, deadline=None)
def test_no_feasible_direction_leads_nearer(instance: Instance) -> None:
    """The variational inequality of a projection: (z - x)'(y - x) <= 0 for all feasible y."""
    point, rows, bounds = instance
    x = project_packing_polytope(point, rows, bounds)
    toward = point - x
    farthest = linprog(-toward, A_ub=rows, b_ub=bounds, bounds=(0.0, 1e3))
    assert farthest.status == 0
    gain = toward @ (farthest.x - x)
    # the solver's own point may be infeasible by 1e-7
    size = np.linalg.norm(toward) * (1.0 + np.linalg.norm(farthest.x - x))
    assert gain <= 1e-6 * (1.0 + size)


@given(instances(most=5))
@settings(max_examples=60, deadline=None)
def test_agrees_with_a_general_solver(instance: Instance) -> None:
    point, rows, bounds = instance
    x = project_packing_polytope(point, rows, bounds)
    other = minimize(
        lambda y: 0.5 * np.sum((y - point) ** 2),
        x,
        jac=lambda y: y - point,
        bounds=[(0.0, None)] * point.size,
        constraints={'type': 'ineq', 'fun': lambda y: bounds - rows @ y, 'jac': lambda _: -rows},
        method='SLSQP',
    )
    if np.all(rows @ other.x <= bounds + 1e-9):
        mine, theirs = np.linalg.norm(x - point), np.linalg.norm(other.x - point)
        assert mine <= theirs + 1e-5 * (1.0 + theirs)


def test_simplex_by_hand() -> None:
    x = project_packing_polytope(np.array([1.0, 0.6, -1.0]), np.ones((1, 3)), np.ones(1))
    assert x == pytest.approx([0.7, 0.3, 0.0])


def test_inside_stays() -> None:
    inside = np.array([0.2, 0.3])
    assert np.array_equal(project_packing_polytope(inside, np.ones((1, 2)), np.ones(1)), inside)


def test_no_variables() -> None:
    assert project_packing_polytope(np.zeros(0), np.zeros((4, 0)), np.ones(4)).size == 0


def test_a_resource_there_is_none_of() -> None:
    rows = np.array([[1.0, 1.0], [0.0, 1.0]])
    x = project_packing_polytope(np.array([0.4, 0.9]), rows, np.array([1.0, 0.0]))
    assert x == pytest.approx([0.4, 0.0])


def test_two_resources_used_nearly_alike_take_many_steps() -> None:
    """Uplink and server: hundreds of Newton steps, and the nearest point all the same."""
    point = np.array([0.1, 0.2, 0.3, -0.1, 0.3, -0.1, -0.1, 0.1, 0.3, 0.5, 0.0])
    rows = np.ones((4, 11))
    rows[1] = [2.7, 1.3, 0.7, 0.5, 0.4, 2.0, 1.4, 1.0, 0.0, 0.0, 0.0]
    rows[2] = [0.0] * 8 + [20.4, 4.9, 12.3]
    rows[3] = [0.0] * 8 + [50.2, 5.0, 20.1]
    x = project_packing_polytope(point, rows, np.ones(4))
    farthest = linprog(x - point, A_ub=rows, b_ub=np.ones(4))
    assert (point - x) @ (farthest.x - x) <= 1e-9
