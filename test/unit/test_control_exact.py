"""The exact optimum of many problems at once, against HiGHS: 40 in every example."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from control_rows import KINDS, Rows, least_cost, random_multipliers, random_rows, some
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control.exact import (
    RowPoint,
    RowProblem,
    point,
    queued_cost,
    solve,
    solve_constrained,
    solve_queued,
)

COUNT = 40  # rows of an example
EXAMPLES = 40  # of each kind: 3 kinds, 2 solvers: 9600 problems
PRECISION = 1e-6
ROUNDING = 1e-9
HALVINGS = 60
PARTS = 5.0  # of the way between two prices that solve_queued may be off

seeds = st.integers(0, 2**32 - 1)
kinds = pytest.mark.parametrize('kind', KINDS)
with_server = st.booleans()
with_least_rate = st.booleans()


def assert_feasible(
    rows: Rows, problem: RowProblem, found: RowPoint, *, kind: str = 'ordinary'
) -> None:
    """Nothing is negative, more than arrives, or more than any resource carries."""
    local_fps, edge_fps = rows.rates(problem, found)
    assert np.all(np.isfinite(local_fps))
    assert np.all(np.isfinite(edge_fps))
    assert np.all(local_fps >= 0.0)
    assert np.all(edge_fps >= 0.0)
    assert np.all(local_fps[~rows.local_ok] == 0.0)
    assert np.all(edge_fps[~rows.edge_ok] == 0.0)
    # Where a robot could carry a billion times what arrives, what arrives is lost in rounding.
    slack = 1.0 + (PRECISION if kind == 'extreme' else ROUNDING)
    assert np.all(local_fps.sum(axis=1) + edge_fps.sum(axis=1) <= rows.arrival_fps * slack)
    assert np.all((rows.busy_s * local_fps).sum(axis=1) <= rows.ceiling * slack)
    assert np.all((rows.bits * edge_fps).sum(axis=1) <= rows.capacity_bps * slack)
    if rows.server_s is not None:
        assert np.all((rows.server_s * edge_fps).sum(axis=1) <= rows.server_share * slack)
    assert found.cost == pytest.approx(rows.cost(local_fps, edge_fps), rel=1e-9, abs=1e-9)
    constraint = rows.constraint(local_fps, edge_fps)
    assert found.constraint == pytest.approx(constraint, rel=1e-9, abs=1e-9)


def rates_fps(rows: Rows, problem: RowProblem, found: RowPoint) -> np.ndarray:
    """Frames/s of each row, as the rates to put tangents at."""
    local_fps, edge_fps = rows.rates(problem, found)
    return (local_fps.sum(axis=1) + edge_fps.sum(axis=1))[:, None]


@kinds
@given(seeds, with_server, with_least_rate)
@settings(max_examples=EXAMPLES, deadline=None)
def test_least_lagrangian_is_that_of_a_general_solver(
    kind: str, seed: int, server: bool, least_rate: bool
) -> None:
    rows = random_rows(seed, kind, count=COUNT, server=server, least_rate=least_rate)
    multiplier = random_multipliers(seed, COUNT, kind)
    problem = rows.problem()
    found = solve(problem, multiplier)
    assert_feasible(rows, problem, found, kind=kind)
    below, _ = least_cost(rows, multiplier, rates_fps(rows, problem, found))
    value = found.cost + multiplier * found.constraint
    assert value == pytest.approx(below, rel=PRECISION, abs=PRECISION)


@kinds
@given(seeds, with_server, with_least_rate)
@settings(max_examples=EXAMPLES, deadline=None)
def test_least_cost_at_the_target_is_that_of_a_general_solver(
    kind: str, seed: int, server: bool, least_rate: bool
) -> None:
    rows = random_rows(seed, kind, count=COUNT, server=server, least_rate=least_rate)
    problem = rows.problem()
    found, multiplier = solve_constrained(problem, HALVINGS)
    assert_feasible(rows, problem, found, kind=kind)
    assert np.all(found.constraint <= ROUNDING)
    assert np.all(multiplier >= 0.0)
    assert np.all(np.isfinite(multiplier))
    guess_fps = rates_fps(rows, problem, found)
    below, _ = least_cost(rows, np.zeros(COUNT), guess_fps, constrained=True)
    assert found.cost == pytest.approx(below, rel=PRECISION, abs=PRECISION)


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_bounds_of_the_general_solver_meet_without_a_hint(seed: int) -> None:
    """The reference stands on its own: tangents until the gap is closed."""
    rows = random_rows(seed, 'ordinary', count=10)
    multiplier = random_multipliers(seed, 10, 'ordinary')
    guess_fps = np.tile(np.geomspace(0.01, 60.0, 20), (10, 1))
    below, above = least_cost(rows, multiplier, guess_fps, rounds=14)
    assert np.max(above - below) < 10.0 * ROUNDING
    found = solve(rows.problem(), multiplier)
    assert found.cost + multiplier * found.constraint == pytest.approx(below, abs=PRECISION)


@kinds
@given(seeds, with_server)
@settings(max_examples=20, deadline=None)
def test_constraint_falls_as_its_price_rises(kind: str, seed: int, server: bool) -> None:
    rows = random_rows(seed, kind, count=COUNT, server=server)
    problem = rows.problem()
    one, other = (solve(problem, random_multipliers(s, COUNT, kind)) for s in (seed, seed + 1))
    prices = [random_multipliers(s, COUNT, kind) for s in (seed, seed + 1)]
    gain = (one.constraint - other.constraint) * (prices[0] - prices[1])
    size = 1.0 + np.abs(one.cost) + np.abs(other.cost) + prices[0] + prices[1]
    assert np.all(gain <= ROUNDING * size)


@pytest.mark.parametrize('server', [False, True])
def test_without_any_capacity_nothing_runs(server: bool) -> None:
    rows = random_rows(3, 'ordinary', count=COUNT, server=server)
    rows = dataclasses.replace(rows, ceiling=np.zeros(COUNT), capacity_bps=np.zeros(COUNT))
    found = solve(rows.problem(), np.ones(COUNT))
    assert not found.local_fps.any()
    assert not found.edge_fps.any()
    assert found.cost == pytest.approx(rows.fixed_cost)


def test_frames_that_cost_nothing_and_are_worth_nothing_keep_to_the_limits() -> None:
    rows = random_rows(5, 'ordinary', count=COUNT)
    worthless = dataclasses.replace(rows.worth, weight=0.0)
    free = np.zeros(COUNT)
    rows = dataclasses.replace(rows, worth=worthless, busy_price=free, bit_price=free)
    problem = rows.problem()
    found = solve(problem, free)
    assert_feasible(rows, problem, found)
    assert found.cost == pytest.approx(rows.fixed_cost)


@given(seeds, with_server)
@settings(max_examples=10, deadline=None)
def test_some_rows_are_solved_as_among_all(seed: int, server: bool) -> None:
    rows = random_rows(seed, 'ordinary', count=COUNT, server=server)
    multiplier = random_multipliers(seed, COUNT, 'ordinary')
    chosen = np.array([7, 3, 3, 0])
    problem = rows.problem()
    among_all = solve(problem, multiplier)
    alone = solve(problem.rows(chosen), multiplier[chosen])
    anew = solve(some(rows, chosen).problem(), multiplier[chosen])
    assert alone.cost == pytest.approx(among_all.cost[chosen], rel=1e-12)
    assert anew.cost == pytest.approx(among_all.cost[chosen], rel=1e-9)


# ---- the queue's drift, quadratic

steps = st.floats(-6.0, 1.0).map(lambda exponent: 10.0**exponent)
queues = st.tuples(seeds, st.sampled_from(KINDS), with_server, steps, st.booleans())
Queue = tuple[int, str, bool, float, bool]


def queued(asked: Queue) -> tuple[RowProblem, np.ndarray, float, RowPoint, RowPoint]:
    """Problem, queue, step, the point at the queue's price and the one with the drift."""
    seed, kind, server, step, credit = asked
    problem = random_rows(seed, kind, count=COUNT, server=server).problem()
    multiplier = random_multipliers(seed, COUNT, kind)
    if credit:
        multiplier = -multiplier
    at_queue = solve(problem, np.maximum(multiplier, 0.0))
    return problem, multiplier, step, at_queue, solve_queued(problem, at_queue, multiplier, step)


def tolerance(
    problem: RowProblem, multiplier: np.ndarray, step: float, at_queue: RowPoint
) -> np.ndarray:
    """A fifth of the way between the prices, times what the constraint changes on the way."""
    near = np.maximum(multiplier, 0.0)
    far = np.maximum(multiplier + step * at_queue.constraint, 0.0)
    at_far = solve(problem, far)
    way = np.abs((far - near) * (at_far.constraint - at_queue.constraint)) / PARTS
    size = np.abs(at_queue.cost) + np.abs(at_far.cost)
    size += np.maximum(near, far) * (np.abs(at_queue.constraint) + np.abs(at_far.constraint))
    return way + 10.0 * ROUNDING * (1.0 + size)


@given(queues)
@settings(max_examples=60, deadline=None)
def test_no_alternative_is_better_than_the_queued_optimum(asked: Queue) -> None:
    problem, multiplier, step, at_queue, found = queued(asked)
    most = queued_cost(found, multiplier, step) - tolerance(problem, multiplier, step, at_queue)
    idle = point(problem, 0.0 * found.local_fps, 0.0 * found.edge_fps)
    others = [at_queue, idle]
    others += [solve(problem, np.full(COUNT, price)) for price in (0.0, 1e-3, 0.1, 1.0, 10.0, 1e3)]
    others += [solve(problem, part * np.abs(multiplier)) for part in (0.3, 0.6, 1.0, 1.5, 3.0)]
    for one in list(others):  # mixes of two are feasible as well
        others.append(point(problem, 0.5 * (one.local_fps + found.local_fps),
                            0.5 * (one.edge_fps + found.edge_fps)))  # fmt: skip
    for other in others:
        assert np.all(most <= queued_cost(other, multiplier, step))


@given(queues)
@settings(max_examples=60, deadline=None)
def test_queued_optimum_is_optimal_at_the_price_it_leads_to(asked: Queue) -> None:
    problem, multiplier, step, at_queue, found = queued(asked)
    price = np.maximum(multiplier + step * found.constraint, 0.0)
    best = solve(problem, price)
    excess = found.cost + price * found.constraint - best.cost - price * best.constraint
    assert np.all(excess <= tolerance(problem, multiplier, step, at_queue))
    near = np.maximum(multiplier, 0.0)
    far = np.maximum(multiplier + step * at_queue.constraint, 0.0)
    slack = ROUNDING * (1.0 + near + far)
    assert np.all(price >= np.minimum(near, far) - slack)
    assert np.all(price <= np.maximum(near, far) + slack)


@given(seeds, with_server)
@settings(max_examples=20, deadline=None)
def test_enough_credit_makes_accuracy_cost_nothing(seed: int, server: bool) -> None:
    problem = random_rows(seed, 'ordinary', count=COUNT, server=server).problem()
    free = solve(problem, np.zeros(COUNT))
    step = 0.01
    credit = -step * np.maximum(free.constraint, 0.0) - 1e-6
    found = solve_queued(problem, free, credit, step)
    assert found.cost == pytest.approx(free.cost, rel=1e-9)
    assert queued_cost(found, credit, step) == pytest.approx(found.cost)


@given(queues, st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_more_credit_never_costs_more(asked: Queue, part: float) -> None:
    problem, multiplier, step, _, _ = queued(asked)
    credit = -np.abs(multiplier)
    free = solve(problem, np.zeros(COUNT))
    less, more = (solve_queued(problem, free, each, step) for each in (part * credit, credit))
    slack = tolerance(problem, part * credit, step, free) + tolerance(problem, credit, step, free)
    assert np.all(more.cost <= less.cost + slack)
    assert np.all(free.cost <= more.cost + slack)


def test_queued_cost_is_the_cost_where_the_target_is_just_met() -> None:
    problem = random_rows(11, 'ordinary', count=COUNT).problem()
    found = solve(problem, np.ones(COUNT))
    met = dataclasses.replace(found, constraint=np.zeros(COUNT))
    for multiplier in (-2.0, 0.0, 3.0):
        cost = queued_cost(met, np.full(COUNT, multiplier), 0.5)
        assert cost == pytest.approx(met.cost)
    small = queued_cost(found, np.full(COUNT, 3.0), 1e-9)
    assert small == pytest.approx(found.cost + 3.0 * found.constraint, rel=1e-4)
