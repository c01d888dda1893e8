"""Sparklines: as wide as allowed, and as high as the values."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from watch_examples import NUMBERS

from visionscaling_ros.watch.sparkline import ASCII_BARS, BARS, sparkline
from visionscaling_ros.watch.words import figure, joined, plain_name, since_words


def test_the_lowest_and_the_highest_value_are_the_ends_of_the_scale() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BARS
    assert sparkline([7.0, math.nan, 0.0], 8) == '█ ▁'
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8, ascii_only=True) == ASCII_BARS


def test_small_movements_of_a_large_value_are_not_blown_up() -> None:
    assert set(sparkline([100.0, 100.1, 100.2], 3)) <= set('▇█')


def test_more_values_than_characters_are_averaged_in_order() -> None:
    assert sparkline([0, 0, 7, 7], 2) == '▁█'
    assert sparkline([1.0] * 7, 0) == ''


@given(st.lists(NUMBERS, max_size=200), st.integers(-1, 80))
@example([-1.7e308], 1)
@example([-sys.float_info.max, -1.75e308, sys.float_info.max], 3)
def test_any_values_fit(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(len(values), max(width, 0))
    assert set(line) <= set(BARS + ' ')


@given(NUMBERS, st.integers(0, 3))
def test_a_figure_is_short(value: float, decimals: int) -> None:
    text = figure(value, decimals)
    assert len(text) <= 8
    assert (text == '?') == (not math.isfinite(value))


def test_figures_and_durations() -> None:
    assert [figure(v, 2) for v in (1.234, -0.001, 1234.5, 2e9)] == ['1.23', '0.00', '1234', '2e+09']
    told = [since_words(s) for s in (0.4, 99.0, 720.0, 7200.0, 1e6, math.inf)]
    assert told == ['0 s', '99 s', '12 min', '2 h', '12 d', '?']
    assert [joined(parts) for parts in ([], ['a'], ['a', 'b'], ['a', 'b', 'c'])] == [
        '', 'a', 'a and b', 'a, b and c',
    ]  # fmt: skip
    assert plain_name('a\n\x1b[31m b' + 'x' * 50, 10) == 'a [31m bx…'


@pytest.mark.parametrize('text', ['\x1b[2J', 'a\u202eb', '\u200b'])
def test_what_would_steer_a_terminal_is_taken_out_of_names(text: str) -> None:
    assert plain_name(text).isprintable()
