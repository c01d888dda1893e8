"""Hedge over experts: follows the best, whatever the size of the losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control.hedge import MEMORY_SLOTS, Hedge

seeds = st.integers(0, 2**31 - 1)


def plays(hedge: Hedge, losses: np.ndarray) -> np.ndarray:
    """Experts played in each slot, shape (T,), for losses of shape (T, N)."""
    played = []
    for row in losses:
        played.append(hedge.played)
        hedge.learn(row)
    return np.array(played)


def regret(losses: np.ndarray, seed: int) -> float:
    """What was lost above the best expert in hindsight."""
    slots = np.arange(len(losses))
    lost = losses[slots, plays(Hedge(losses.shape[1], seed), losses)].sum()
    return float(lost - losses.sum(axis=0).min())


@given(seeds, st.integers(2, 8), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_concentrates_on_the_best_expert(seed: int, count: int, best: int) -> None:
    best %= count
    rng = np.random.default_rng(seed)
    losses = rng.random((600, count))
    losses[:, best] -= 0.3
    played = plays(Hedge(count, seed), losses)
    assert np.mean(played[200:] == best) > 0.8


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_follows_a_best_expert_that_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.random((3000, 3))
    losses[:1500, 0] -= 0.4
    losses[1500:, 2] -= 0.4
    played = plays(Hedge(3, seed), losses)
    assert np.mean(played[1000:1500] == 0) > 0.8
    changed = 1500 + int(2 * MEMORY_SLOTS)
    assert np.mean(played[changed:] == 2) > 0.8


@pytest.mark.parametrize('count', [2, 6])
def test_regret_on_random_losses_grows_like_a_square_root(count: int) -> None:
    """Far from the bound of AdaHedge, 2 sqrt(T ln N) and a few losses, at every length."""
    mean = []
    for slots in (100, 400, 1600):
        regrets = [
            regret(np.random.default_rng([slots, seed]).random((slots, count)), seed)
            for seed in range(40)
        ]
        assert max(regrets) <= 2.0 * math.sqrt(slots * math.log(count)) + 3.0
        mean.append(np.mean(regrets))
    exponent = math.log(mean[-1] / mean[0]) / math.log(16.0)
    assert exponent < 0.75


def test_regret_against_a_steady_best_expert_stops_growing() -> None:
    losses = np.tile([0.3, 0.1, 0.7, 0.11], (4000, 1))
    assert regret(losses[:500], 3) == pytest.approx(regret(losses, 3), abs=1.0)


@given(seeds, st.floats(-6.0, 5.0), st.floats(-1e3, 1e3))
@settings(max_examples=30, deadline=None)
def test_units_of_the_losses_do_not_matter(seed: int, exponent: float, offset: float) -> None:
    losses = np.random.default_rng(seed).random((200, 4))
    other = 10.0**exponent * (losses + offset)
    # What rounding changes may tip a choice, not the choices.
    same = plays(Hedge(4, seed), losses) == plays(Hedge(4, seed), other)
    assert np.mean(same) > 0.9


def test_an_expert_that_fails_badly_does_not_blunt_the_choice_among_the_others() -> None:
    rng = np.random.default_rng(1)
    losses = rng.random((800, 3)) * 0.1
    losses[:, 1] -= 0.03
    losses[5, 2] = 1e6
    assert np.mean(plays(Hedge(3, 1), losses)[400:] == 1) > 0.8


loss = st.one_of(
    st.floats(-1e8, 1e8), st.floats(), st.sampled_from([0.0, math.nan, math.inf, -math.inf])
)


@given(st.lists(st.tuples(loss, loss, loss), max_size=60), seeds)
@settings(max_examples=200, deadline=None)
def test_whatever_is_lost_there_is_an_expert_to_play(
    losses: list[tuple[float, float, float]], seed: int
) -> None:
    hedge = Hedge(3, seed)
    with np.errstate(all='raise', under='ignore'):
        for row in losses:
            hedge.learn(np.array(row))
            assert hedge.played in (0, 1, 2)
    for _ in range(int(3 * MEMORY_SLOTS)):
        hedge.learn(np.array([1e8, 0.0, 1e8]))
    assert hedge.played == 1


def test_a_world_without_surprises_for_days_breaks_nothing() -> None:
    hedge = Hedge(3, 0)
    losses = np.array([0.3, 0.1, 0.2])
    with np.errstate(all='raise', under='ignore'):
        for _ in range(15_000):  # with losses that small, as 140,000 ordinary ones
            hedge.learn(1e-280 * losses)
    assert hedge.played == 1
    for _ in range(int(3 * MEMORY_SLOTS)):
        hedge.learn(losses[::-1].copy() * [1.0, 2.0, 0.5])
    assert hedge.played == 2


def test_losses_that_are_not_finite_teach_nothing() -> None:
    rng = np.random.default_rng(4)
    losses = rng.random((50, 3))
    with_gaps = []
    for row in losses:
        with_gaps += [row, np.array([math.nan, 0.0, 0.0]), np.array([0.0, math.inf, 0.0])]
    played = plays(Hedge(3, 9), np.array(with_gaps))[::3]
    assert np.array_equal(played, plays(Hedge(3, 9), losses))


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_the_same_seed_plays_the_same(seed: int) -> None:
    losses = np.random.default_rng(seed).random((100, 5))
    assert np.array_equal(plays(Hedge(5, seed), losses), plays(Hedge(5, seed), losses))


def test_the_expert_played_changes_seldom() -> None:
    """As seldom as its probabilities allow: not drawn anew in every slot."""
    losses = np.random.default_rng(0).random((1000, 6))
    played = plays(Hedge(6, 0), losses)
    assert np.count_nonzero(np.diff(played)) < 150
