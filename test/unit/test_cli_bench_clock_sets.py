"""Part ``set`` of bench-hardware times real sets, directly and through a real helper."""

from __future__ import annotations

import argparse

import pytest

from visionscaling_ros.cli import bench_clock_sets
from visionscaling_ros.cli.bench_clock_sets import SetLatency
from visionscaling_ros.errors import InvalidValueError


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_clock_sets.add_arguments(parser)
    return parser.parse_args(words)


def test_both_ways_are_timed() -> None:
    rows = bench_clock_sets.measure(_arguments('--sets', '100'))
    assert [(row.way, row.sets) for row in rows] == [('direct', 100), ('by helper', 100)]
    assert all(0.0 < row.p50_s <= row.p99_s <= row.max_s for row in rows)


def test_the_verdict_is_on_the_slowest_of_a_hundred(capsys: pytest.CaptureFixture[str]) -> None:
    quick = SetLatency('direct', 500, 0.009, 0.001, 0.004, 0.02)
    slow = SetLatency('by helper', 500, 0.009, 0.001, 0.006, 0.02)
    assert bench_clock_sets.print_rows([quick])
    assert not bench_clock_sets.print_rows([quick, slow])
    assert '6.00 ms' in capsys.readouterr().out


def test_too_few_sets_for_a_quantile_are_refused() -> None:
    with pytest.raises(InvalidValueError, match='100 to 100000'):
        bench_clock_sets.measure(_arguments('--sets', '3'))
