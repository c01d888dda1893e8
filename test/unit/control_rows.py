"""Random problems side by side, and what a general solver says about them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from hypothesis import assume
from scipy.optimize import linprog
from scipy.sparse import block_diag

from visionscaling_ros.control.exact import RateWorth, RowPoint, RowProblem
from visionscaling_ros.control.frontier import envelope
from visionscaling_ros.control.rate_utility import HALF_RATE_FPS
from visionscaling_ros.control.resource import OneResource, TwoResources

KINDS = ('ordinary', 'degenerate', 'extreme')


@dataclass(frozen=True)
class Rows:
    """R problems over K configurations, as they would be written down.

    :param busy_s: time of a local frame, shape (R, K) [s].
    :param merit: accuracy above the target, shape (R, K) [mAP].
    :param bits: of an offloaded frame, shape (R, K) [bit].
    :param server_s: shape (R, K) [s]; None: the server does not bind.
    :param local_ok: may run locally, shape (R, K).
    :param edge_ok: may be offloaded, shape (R, K).
    """

    busy_s: np.ndarray
    merit: np.ndarray
    bits: np.ndarray
    server_s: np.ndarray | None
    local_ok: np.ndarray
    edge_ok: np.ndarray
    busy_price: np.ndarray
    bit_price: np.ndarray
    ceiling: np.ndarray
    capacity_bps: np.ndarray
    server_share: np.ndarray
    arrival_fps: np.ndarray
    fixed_cost: np.ndarray
    worth: RateWorth

    def problem(self) -> RowProblem:
        """As the exact solver takes them."""
        index = envelope(self.busy_s, self.merit, self.local_ok)
        local = OneResource(
            index,
            use=np.take_along_axis(self.busy_s, index, 1),
            merit=np.take_along_axis(self.merit, index, 1),
            price=self.busy_price,
            budget=np.where(self.local_ok.any(axis=1), self.ceiling, 0.0),
        )
        capacity_bps = np.where(self.edge_ok.any(axis=1), self.capacity_bps, 0.0)
        if self.server_s is None:
            index = envelope(self.bits, self.merit, self.edge_ok)
        else:  # the server's problem takes configurations that may all be used
            chosen = np.where(self.edge_ok, np.arange(self.bits.shape[1]), -1)
            index = np.sort(np.where(chosen < 0, chosen.max(axis=1)[:, None], chosen), axis=1)
            index = np.maximum(index, 0)
        picked = {
            'use': np.take_along_axis(self.bits, index, 1),
            'merit': np.take_along_axis(self.merit, index, 1),
            'price': self.bit_price,
            'budget': capacity_bps,
        }
        edge: OneResource | TwoResources
        if self.server_s is None:
            edge = OneResource(index, **picked)
        else:
            edge = TwoResources(
                index,
                second=np.take_along_axis(self.server_s, index, 1),
                second_budget=self.server_share,
                **picked,
            )
        return RowProblem(local, edge, self.fixed_cost, self.arrival_fps, self.worth)

    def rates(self, problem: RowProblem, point: RowPoint) -> tuple[np.ndarray, np.ndarray]:
        """Local and offloaded rates per configuration, shape (R, K) each."""
        spread = []
        each = np.arange(len(self.merit))[:, None]
        for resource, rates in ((problem.local, point.local_fps), (problem.edge, point.edge_fps)):
            per_point = np.zeros_like(self.merit)
            np.add.at(per_point, (each, resource.index), rates)
            spread.append(per_point)
        return spread[0], spread[1]

    def cost(self, local_fps: np.ndarray, edge_fps: np.ndarray) -> np.ndarray:
        """phi by its formula, shape (R,)."""
        rate_fps = local_fps.sum(axis=1) + edge_fps.sum(axis=1)
        energy = self.busy_price * (self.busy_s * local_fps).sum(axis=1)
        energy = energy + self.bit_price * (self.bits * edge_fps).sum(axis=1)
        missing = self.worth.least_slope * np.maximum(self.worth.least_fps - rate_fps, 0.0)
        utility = self.worth.weight * rate_fps / (rate_fps + HALF_RATE_FPS)
        return self.fixed_cost + energy + missing - utility

    def constraint(self, local_fps: np.ndarray, edge_fps: np.ndarray) -> np.ndarray:
        """g by its formula, shape (R,) [mAP frames/s]."""
        return -(self.merit * (local_fps + edge_fps)).sum(axis=1)


def random_rows(
    seed: int, kind: str, *, count: int = 40, server: bool = False, least_rate: bool = False
) -> Rows:
    """Rows of one of ``KINDS``; some without capacity, some with nothing usable."""
    rng = np.random.default_rng(seed)
    points = int(rng.integers(1, 8))
    shape = (count, points)

    def spread(low: float, high: float, size: object = shape) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), size))

    accuracy = rng.uniform(0.1, 0.7, points)
    if kind == 'extreme':
        busy_s, bits, server_s = spread(1e-6, 1e2), spread(1.0, 1e9), spread(1e-7, 1e1)
        prices, arrivals, weight = (1e-6, 1e3), (1e-3, 1e3), 1e3
    else:
        busy_s, bits, server_s = spread(2e-3, 0.1), spread(1e4, 4e5), spread(1e-4, 2e-2)
        prices, arrivals, weight = (1e-2, 0.5), (0.5, 60.0), 25.0
    if kind == 'degenerate':  # duplicates, points on a line, costs that tie
        busy_s = rng.choice([0.01, 0.02, 0.03, 0.04], shape)
        bits = rng.choice([1e5, 2e5, 3e5, 4e5], shape)
        server_s = rng.choice([0.0, 0.005, 0.01, 0.02], shape)
        accuracy = rng.choice([0.2, 0.3, 0.4, 0.5], points)
        if rng.random() < 0.5:
            busy_s = np.tile(0.1 * accuracy, (count, 1))
            bits = np.tile(1e6 * accuracy, (count, 1))
    target = np.minimum(rng.uniform(0.1, 0.7, count), accuracy.max())
    if kind == 'degenerate':
        target = np.round(target, 1)
    busy_price = spread(*prices, count) * (rng.random(count) < 0.9)
    least_fps, least_slope = (rng.uniform(1, 20), rng.uniform(0, 2)) if least_rate else (0.0, 0.0)
    return Rows(
        busy_s=busy_s,
        merit=accuracy - target[:, None],
        bits=bits,
        server_s=server_s if server else None,
        local_ok=rng.random(shape) < rng.choice([0.0, 0.5, 1.0], (count, 1), p=[0.1, 0.3, 0.6]),
        edge_ok=rng.random(shape) < rng.choice([0.0, 0.5, 1.0], (count, 1), p=[0.1, 0.3, 0.6]),
        busy_price=busy_price,
        bit_price=spread(1e-9, 1e-7, count) * (rng.random(count) < 0.9),
        ceiling=np.full(count, 0.8),
        capacity_bps=spread(1e4, 1e7, count) * (rng.random(count) < 0.8),
        server_share=rng.uniform(0.0, 0.05, count) * (rng.random(count) < 0.9),
        arrival_fps=spread(*arrivals, count),
        fixed_cost=rng.uniform(0.0, 1.0, count),
        worth=RateWorth(weight * rng.random() * (rng.random() < 0.9), least_fps, least_slope),
    )


def random_multipliers(seed: int, count: int, kind: str) -> np.ndarray:
    """Prices of accuracy, some of them 0, shape (count,)."""
    rng = np.random.default_rng([seed, 1])
    low, high = (1e-6, 1e4) if kind == 'extreme' else (1e-2, 10.0)
    return np.exp(rng.uniform(np.log(low), np.log(high), count)) * (rng.random(count) < 0.8)


def least_cost(
    rows: Rows,
    multiplier: np.ndarray,
    guess_fps: np.ndarray,
    *,
    constrained: bool = False,
    rounds: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on the least ``phi + lambda g`` of every row by HiGHS, shape (R,) each.

    The utility is bounded by tangents, so that each optimum of the linear program is a bound from
    below, and its point one from above. With a tangent at the rate of the optimum, both meet.

    :param guess_fps: rates to put tangents at, shape (R, G).
    :param constrained: with g <= 0.
    :param rounds: programs solved, each with tangents at the rates of the one before.
    """
    for _ in range(rounds):
        blocks = [_program(rows, r, multiplier, guess_fps[r], constrained) for r in
                  range(len(multiplier))]  # fmt: skip
        solved = linprog(
            np.concatenate([b.cost for b in blocks]),
            A_ub=block_diag([b.rows for b in blocks], format='csr'),
            b_ub=np.concatenate([b.bounds for b in blocks]),
            bounds=np.concatenate([b.range for b in blocks]),
            method='highs',
            options={'primal_feasibility_tolerance': 1e-10, 'dual_feasibility_tolerance': 1e-10},
        )
        assume(solved.status == 0)  # figures this extreme are beyond the reference
        x = solved.x.reshape(len(blocks), -1)
        below = np.array([b.cost @ each for b, each in zip(blocks, x, strict=True)])
        most_fps = np.stack([b.most_fps for b in blocks])
        rates = x[:, :-2] * most_fps
        half = rates.shape[1] // 2
        local_fps, edge_fps = rates[:, :half], rates[:, half:]
        above = rows.cost(local_fps, edge_fps)
        above += multiplier * rows.constraint(local_fps, edge_fps)
        guess_fps = np.concatenate([guess_fps, rates.sum(axis=1)[:, None]], axis=1)
    return below + rows.fixed_cost, above


@dataclass(frozen=True)
class _Program:
    """Variables: local and offloaded rates over the most there can be, frames short, -utility."""

    cost: np.ndarray
    rows: np.ndarray
    bounds: np.ndarray
    range: np.ndarray
    most_fps: np.ndarray


def _program(
    rows: Rows, r: int, multiplier: np.ndarray, guess_fps: np.ndarray, constrained: bool
) -> _Program:
    count = rows.merit.shape[1]
    none, arrival_fps = np.zeros(count), rows.arrival_fps[r]
    uses = [
        (np.concatenate([rows.busy_s[r], none]), rows.ceiling[r]),
        (np.concatenate([none, rows.bits[r]]), rows.capacity_bps[r]),
    ]
    if rows.server_s is not None:
        uses.append((np.concatenate([none, rows.server_s[r]]), rows.server_share[r]))
    most_fps = np.full(2 * count, arrival_fps)
    most_fps[~np.concatenate([rows.local_ok[r], rows.edge_ok[r]])] = 0.0
    for use, budget in uses:
        taken = use > 0.0
        most_fps[taken] = np.minimum(most_fps[taken], budget / use[taken])
    merit = np.tile(rows.merit[r], 2)
    energy = np.concatenate([rows.busy_price[r] * rows.busy_s[r], rows.bit_price[r] * rows.bits[r]])
    cost = np.append((energy - multiplier[r] * merit) * most_fps, [rows.worth.least_slope, 1.0])
    lines = [(np.append(most_fps / arrival_fps, [0.0, 0.0]), 1.0)]
    lines += [
        (np.append(use * most_fps, [0.0, 0.0]) / budget, 1.0) for use, budget in uses if budget > 0
    ]
    lines.append((np.append(-most_fps, [-1.0, 0.0]), -rows.worth.least_fps))
    if constrained:
        lines.append((np.append(-merit * most_fps, [0.0, 0.0]), 0.0))
    for at_fps in guess_fps:
        fall = rows.worth.weight * HALF_RATE_FPS / (at_fps + HALF_RATE_FPS) ** 2
        at_guess = rows.worth.weight * at_fps / (at_fps + HALF_RATE_FPS)
        lines.append((np.append(-fall * most_fps, [0.0, -1.0]), at_guess - fall * at_fps))
    return _Program(
        cost,
        np.stack([line for line, _ in lines]),
        np.array([bound for _, bound in lines]),
        np.array([(0.0, 1.0)] * (2 * count) + [(0.0, np.inf), (-np.inf, np.inf)]),
        most_fps,
    )


def some(rows: Rows, chosen: np.ndarray) -> Rows:
    """Some of the rows."""
    changes = {
        field.name: getattr(rows, field.name)[chosen]
        for field in dataclasses.fields(rows)
        if isinstance(getattr(rows, field.name), np.ndarray)
    }
    return dataclasses.replace(rows, **changes)
