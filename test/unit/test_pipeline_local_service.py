"""Frames keep running while models load or fail."""

from __future__ import annotations

from typing import Any

import pytest

from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin
from visionscaling_ros.errors import ModelError
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.local_service import (
    FAILURES,
    FIRST_RETRY_S,
    LAST_RETRY_S,
    LocalService,
)

SAFE = ('a', 32)


class Models(dict[str, Any]):
    """Ready detectors by name."""

    def detector(self, model: str) -> Any:
        return self.get(model)

    def class_names(self, model: str) -> tuple[str, ...]:
        return ()


class Bench:
    """A service over models a (safe, cheap), b and c, and what it said."""

    def __init__(self) -> None:
        self.models = Models(a='A', b='B', c='C')
        self.costs = CostTable()
        for work, model in enumerate('abc', 1):
            self.costs.put(OperatingPoint(model, 32, 0.1 * work, 0.01 * work, 0.001, 1e4))
        self.said: list[tuple[str, str]] = []
        self.now_s = 50.0
        self.service = LocalService(
            self.models,
            self.costs,
            SAFE,
            lambda model, trouble: self.said.append((model, trouble)),
            clock=lambda: self.now_s,
        )

    def run(self, model: str) -> str:
        """What runs a frame that ``model`` was to run; empty: nothing."""
        served = self.service.serve(Allocation(model, 32, Origin.LOCAL, 1.0))
        if served is None:
            return ''
        assert served[1] == served[0].model.upper()
        return served[0].model

    def offered(self) -> set[str]:
        return {p.model for p in self.costs.points()}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_while_a_model_is_not_ready_what_ran_last_goes_on(bench: Bench) -> None:
    bench.service.succeeded(Allocation('c', 32, Origin.LOCAL, 1.0))
    del bench.models['b']
    assert bench.run('b') == 'c'
    del bench.models['c']
    assert bench.run('b') == 'a'
    bench.models['b'] = 'B'
    assert bench.run('b') == 'b'


def test_the_rate_and_origin_of_an_allocation_stay(bench: Bench) -> None:
    del bench.models['b']
    served = bench.service.serve(Allocation('b', 64, Origin.LOCAL, 7.0))
    assert served is not None
    assert served[0] == Allocation('a', 32, Origin.LOCAL, 7.0)


def test_a_model_error_withdraws_the_model_at_once_and_says_so_once(bench: Bench) -> None:
    bench.service.succeeded(Allocation('b', 32, Origin.LOCAL, 1.0))
    assert bench.service.failed('b', ModelError('b: not finite'))
    assert bench.offered() == {'a', 'c'}
    assert bench.run('b') == 'a'  # not what ran last: that is b itself
    assert not bench.service.failed('b', ModelError('again'))
    assert bench.said == [('b', 'b: not finite')]
    assert bench.service.out_of_service == {'b': 'b: not finite'}


def test_other_exceptions_withdraw_it_only_several_times_in_a_row(bench: Bench) -> None:
    for _ in range(FAILURES - 1):
        assert not bench.service.failed('b', RuntimeError('x'))
    bench.service.succeeded(Allocation('b', 32, Origin.LOCAL, 1.0))
    for _ in range(FAILURES - 1):
        bench.service.failed('b', RuntimeError('x'))
    assert bench.offered() == {'a', 'b', 'c'}
    page = RuntimeError('The following operation failed\nTraceback:\n  line 1\n\nno memory\n')
    assert bench.service.failed('b', page)
    assert bench.offered() == {'a', 'c'}
    assert bench.said == [('b', 'RuntimeError: no memory')]


def test_without_the_safe_model_the_cheapest_that_is_ready_runs(bench: Bench) -> None:
    bench.service.failed('a', ModelError('broken'))
    assert bench.run('a') == 'b'
    del bench.models['b']
    assert bench.run('a') == 'c'


def test_the_last_model_is_tried_again_ever_less_often_and_comes_back(bench: Bench) -> None:
    for model in 'abc':
        bench.service.failed(model, ModelError('broken'))
    assert bench.offered() == set()
    assert bench.run('b') == ''
    waits_s = []
    for _ in range(8):
        waited_s = 0.0
        while not bench.run('b'):
            bench.now_s += 0.5
            waited_s += 0.5
        assert bench.run('b') == SAFE[0]
        waits_s.append(waited_s)
        bench.service.failed('a', ModelError('still broken'))
    assert waits_s == sorted(waits_s)
    assert waits_s[0] == FIRST_RETRY_S
    assert waits_s[-1] == LAST_RETRY_S
    bench.now_s += LAST_RETRY_S
    bench.service.succeeded(Allocation('a', 32, Origin.LOCAL, 1.0))
    assert bench.offered() == {'a'}
    assert bench.said[-1] == ('a', '')
    assert bench.run('b') == 'a'


def test_a_model_that_is_forgotten_starts_anew(bench: Bench) -> None:
    bench.service.failed('b', ModelError('broken'))
    bench.service.forget('b')
    assert bench.run('b') == 'b'
    assert bench.offered() == {'a', 'b', 'c'}
    assert bench.said == [('b', 'broken')]
