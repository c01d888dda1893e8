"""The order of measurements: complete, interleaved, the same again for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.profiling.schedule import (
    Candidate,
    IdleVisit,
    JpegVisit,
    Plan,
    PointVisit,
    spread_levels,
)

CANDIDATES = tuple(
    Candidate(model, size_px, engine)
    for model in ('n', 's', 'm')
    for size_px in (192, 256, 320)
    for engine in ('torch', 'onnxruntime')
)
LEVELS_HZ = (1e8, 2e8, 3e8, 4e8)


def plan(seed=0, rounds=4, candidates=CANDIDATES, levels_hz=LEVELS_HZ):
    return Plan(candidates, levels_hz, ('street', 'own'), seed, rounds)


def of_round(a_plan, number):
    return [turn.visit for turn in a_plan.turns() if turn.round == number]


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 4), st.integers(1, 18))
def test_every_round_after_the_first_visits_everything_once(seed, rounds, levels, count):
    a_plan = plan(seed, rounds, CANDIDATES[:count], LEVELS_HZ[:levels])
    turns = list(a_plan.turns())
    assert [turn.number for turn in turns] == list(range(len(a_plan)))
    for number in range(1, rounds):
        visits = Counter(of_round(a_plan, number))
        assert set(visits.values()) == {1}
        for candidate in CANDIDATES[:count]:
            for level_hz in LEVELS_HZ[:levels]:
                assert PointVisit(candidate, level_hz) in visits
        sizes_px = {candidate.input_size_px for candidate in CANDIDATES[:count]}
        for size_px in sizes_px:
            assert JpegVisit(size_px, 'street') in visits
            assert JpegVisit(size_px, 'own') in visits
        for level_hz in LEVELS_HZ[:levels]:
            assert IdleVisit(level_hz) in visits


def test_the_first_round_is_uploads_then_the_highest_clock_then_the_lowest():
    visits = of_round(plan(), 0)
    kinds = [v.frequency_hz if not isinstance(v, JpegVisit) else 'jpeg' for v in visits]
    assert [kind for kind, _ in groupby(kinds)] == ['jpeg', 4e8, 1e8]
    points = [v for v in visits if isinstance(v, PointVisit)]
    assert len(points) == 2 * len(CANDIDATES) == len(set(points))


def test_rounds_come_in_different_orders_and_mix_clocks_and_models():
    first, second = of_round(plan(), 1), of_round(plan(), 2)
    assert first != second
    points = [v for v in first if isinstance(v, PointVisit)]
    for key in (lambda v: v.frequency_hz, lambda v: v.candidate.model):
        assert len(list(groupby(points, key))) > len(points) // 3


def test_the_order_depends_on_the_seed_alone():
    assert list(plan(3).turns()) == list(plan(3).turns())
    assert list(plan(3).turns()) != list(plan(4).turns())
    fewer = list(plan(3, rounds=2).turns())
    assert list(plan(3, rounds=4).turns())[: len(fewer)] == fewer


def test_one_clock_is_visited_once_in_the_first_round():
    visits = of_round(plan(levels_hz=(1e9,)), 0)
    assert sum(isinstance(v, PointVisit) for v in visits) == len(CANDIDATES)


@given(st.integers(1, 20), st.integers(2, 20))
def test_levels_are_spread_from_the_lowest_to_the_highest(available, count):
    levels_hz = [1e8 * (k + 1) for k in range(available)]
    chosen = spread_levels(levels_hz, count)
    assert len(chosen) == len(set(chosen)) == min(available, count)
    assert list(chosen) == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (levels_hz[0], levels_hz[-1])
    gaps = [levels_hz.index(b) - levels_hz.index(a) for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_one_level_is_the_highest_and_none_is_refused():
    assert spread_levels((1e8, 2e8), 1) == (2e8,)
    with pytest.raises(InvalidValueError, match='levels = 0'):
        spread_levels((1e8, 2e8), 0)
