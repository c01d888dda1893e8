"""Means, confidence intervals and growth exponents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from visionscaling_ros.simulation.statistics import curve_slots, growth_exponent, mean_ci95


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=31))
def test_interval_is_students(values: list[float]) -> None:
    mean, half = mean_ci95(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-6)
    expected = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    assert half == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_many_values_need_no_table() -> None:
    values = list(np.random.default_rng(1).normal(size=80))
    half = mean_ci95(values)[1]
    expected = stats.t.ppf(0.975, 79) * np.std(values, ddof=1) / math.sqrt(80)
    assert half == pytest.approx(expected, rel=5e-3)


def test_what_cannot_be_told_is_nan() -> None:
    assert mean_ci95([3.0]) == (3.0, pytest.approx(math.nan, nan_ok=True))
    assert all(math.isnan(value) for value in mean_ci95([math.nan, math.inf]))
    assert mean_ci95([1.0, math.nan, 1.0]) == (1.0, 0.0)


@given(st.floats(0.1, 1.5), st.floats(1e-3, 1e3), st.integers(1000, 20000))
def test_a_power_law_has_its_exponent(power: float, scale: float, slots: int) -> None:
    curve = scale * np.arange(1, slots + 1) ** power
    assert growth_exponent(curve) == pytest.approx(power, abs=0.03)


def test_a_line_that_begins_late_is_not_sublinear() -> None:
    time = np.arange(1.0, 5001.0)
    assert growth_exponent(np.maximum(time - 2500.0, 0.0)) > 1.0


def test_what_rises_and_falls_again_does_not_grow() -> None:
    time = np.arange(1.0, 5001.0)
    assert growth_exponent(np.where(time < 40.0, time, 80.0 - time)) == pytest.approx(0.0, abs=1e-9)
    assert growth_exponent(-time) == 0.0
    assert growth_exponent(np.ones(1)) == 0.0


def test_curve_slots_cover_the_run() -> None:
    slots = curve_slots(20000)
    assert slots[0] == 1
    assert slots[-1] == 20000
    assert np.all(np.diff(slots) > 0)
    assert list(curve_slots(1)) == [1]
