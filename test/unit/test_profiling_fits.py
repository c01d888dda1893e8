"""Fits of latency and power find what made the figures, also under noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import AGX_ORIN_FREQUENCIES_HZ
from visionscaling_ros.profiling.device_fits import fit_latency, fit_power, split_latency
from visionscaling_ros.profiling.line_fit import fit_line

LEVELS_HZ = AGX_ORIN_FREQUENCIES_HZ
works = st.floats(1e-4, 0.5)
serials = st.floats(1e-4, 0.1)
seeds = st.integers(0, 2**32 - 1)


def latencies(work_ghz_s, serial_s, levels_hz=LEVELS_HZ):
    return [work_ghz_s / (hz * 1e-9) + serial_s for hz in levels_hz]


@given(works, serials)
def test_latency_without_noise_is_recovered(work_ghz_s, serial_s):
    fit = fit_latency(LEVELS_HZ, latencies(work_ghz_s, serial_s))
    assert fit.gpu_work_ghz_s == pytest.approx(work_ghz_s, rel=1e-6)
    assert fit.serial_s == pytest.approx(serial_s, rel=1e-4, abs=1e-9)
    assert math.isnan(fit.r_squared) or fit.r_squared == pytest.approx(1.0)


@given(works, serials, seeds)
def test_latency_with_two_per_cent_of_noise_is_predicted_within_three(work_ghz_s, serial_s, seed):
    exact_s = np.array(latencies(work_ghz_s, serial_s))
    noise = np.random.default_rng(seed).uniform(-0.02, 0.02, len(exact_s))
    fit = fit_latency(LEVELS_HZ, exact_s * (1.0 + noise))
    for frequency_hz, latency_s in zip(LEVELS_HZ, exact_s, strict=True):
        assert fit.latency_s(frequency_hz) == pytest.approx(latency_s, rel=0.03)


@given(works, serials, st.integers(0, len(LEVELS_HZ) - 1), st.floats(2.0, 10.0))
def test_one_level_that_was_disturbed_does_little_harm(work_ghz_s, serial_s, place, factor):
    measured_s = latencies(work_ghz_s, serial_s)
    measured_s[place] *= factor
    fit = fit_latency(LEVELS_HZ, measured_s)
    exact_s = latencies(work_ghz_s, serial_s)
    for k, frequency_hz in enumerate(LEVELS_HZ):
        if k != place:
            assert fit.latency_s(frequency_hz) == pytest.approx(exact_s[k], rel=0.05)


@given(st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=13), seeds)
def test_no_figure_is_ever_negative(measured_s, seed):
    frequencies_hz = np.random.default_rng(seed).permutation(13)[: len(measured_s)] * 1e8 + 1e8
    fit = fit_latency(frequencies_hz.tolist(), measured_s)
    assert fit.gpu_work_ghz_s >= 0.0
    assert fit.serial_s >= 0.0
    assert fit.gpu_work_ghz_s + fit.serial_s > 0.0
    assert math.isnan(fit.r_squared) or fit.r_squared <= 1.0 + 1e-9


@given(st.lists(st.floats(0.1, 10.0), min_size=3, max_size=8))
def test_within_the_bounds_no_other_line_fits_better_once_nothing_is_an_outlier(noise):
    x = np.arange(1.0, len(noise) + 1.0)
    y = np.array(noise)
    line = fit_line(x.tolist(), y.tolist())
    residuals = np.abs(y - line.slope * x - line.intercept) / y
    bound = 1.345 * 1.4826 * np.median(residuals)

    def huber(slope, intercept):
        r = np.abs(y - slope * x - intercept) / y
        return np.where(r <= bound, 0.5 * r**2, bound * (r - 0.5 * bound)).sum()

    # the scale moves with the fit, so neighbours are compared with a little slack
    best = huber(line.slope, line.intercept)
    for slope, intercept in ((line.slope * 1.1 + 1e-3, line.intercept),
                             (line.slope, line.intercept * 1.1 + 1e-3)):  # fmt: skip
        assert huber(slope, intercept) >= best * (1.0 - 0.05) - 1e-9


@given(works, serials, st.floats(0.0, 1.0), seeds)
def test_what_was_seen_to_be_serial_stays_serial_under_noise(work_ghz_s, serial_s, seen, seed):
    noise = np.random.default_rng(seed).uniform(-0.02, 0.02, len(LEVELS_HZ))
    network_s = np.array(latencies(work_ghz_s, (1.0 - seen) * serial_s)) * (1.0 + noise)
    measured_s = (network_s + seen * serial_s).tolist()
    fit = fit_latency(LEVELS_HZ, measured_s, seen * serial_s)
    assert fit.serial_s >= seen * serial_s
    for frequency_hz, exact_s in zip(LEVELS_HZ, latencies(work_ghz_s, serial_s), strict=True):
        assert fit.latency_s(frequency_hz) == pytest.approx(exact_s, rel=0.03)


def test_a_latency_that_falls_with_the_work_has_no_work():
    fit = fit_latency([0.5e9, 1e9, 2e9], [0.01, 0.02, 0.03])
    assert fit.gpu_work_ghz_s == 0.0
    assert 0.01 <= fit.serial_s <= 0.03


def test_a_latency_that_is_all_work_has_no_serial_part():
    fit = fit_latency([0.5e9, 1e9, 2e9], [0.0210, 0.0100, 0.0049])
    assert fit.serial_s == pytest.approx(0.0, abs=1e-4)
    assert fit.gpu_work_ghz_s == pytest.approx(0.01, rel=0.05)


def test_a_constant_latency_has_no_r_squared():
    fit = fit_latency([1e9, 2e9], [0.01, 0.01])
    assert (fit.gpu_work_ghz_s, fit.serial_s) == pytest.approx((0.0, 0.01))
    assert math.isnan(fit.r_squared)


def test_one_clock_is_split_by_what_was_measured():
    fit = split_latency(0.5e9, 0.02, 0.003)
    assert fit.gpu_work_ghz_s == pytest.approx(0.01)
    assert fit.latency_s(0.5e9) == pytest.approx(0.023)
    assert math.isnan(fit.r_squared)


@given(st.floats(0.1, 20.0), st.floats(0.1, 10.0), st.floats(0.3, 1.0), seeds)
def test_the_power_model_is_recovered_at_any_utilisation(alpha, beta, least, seed):
    rng = np.random.default_rng(seed)
    utilizations = rng.uniform(least, 1.0, len(LEVELS_HZ))
    cubes = utilizations * (np.array(LEVELS_HZ) * 1e-9) ** 3
    powers_w = beta + alpha * cubes
    fit = fit_power(LEVELS_HZ, utilizations.tolist(), powers_w.tolist())
    assert fit.alpha_w_per_ghz3 == pytest.approx(alpha, rel=1e-6)
    assert fit.beta_w == pytest.approx(beta, rel=1e-6)
    noisy = fit_power(
        LEVELS_HZ,
        utilizations.tolist(),
        (powers_w * (1.0 + rng.uniform(-0.01, 0.01, len(LEVELS_HZ)))).tolist(),
    )
    top = alpha * cubes[-1] + beta
    assert noisy.alpha_w_per_ghz3 * cubes[-1] + noisy.beta_w == pytest.approx(top, rel=0.02)


def test_the_published_power_of_an_agx_orin_is_fitted_as_published():
    """YOLOv8n at 640 px, GPU rail; lijiaxi2018/Distributed-Learning."""
    powers_w = [3.19, 3.27, 3.59, 3.59, 3.99, 3.98, 4.37, 4.78, 5.65, 6.09, 6.45]
    fit = fit_power(LEVELS_HZ, [1.0] * 11, powers_w)
    assert fit.alpha_w_per_ghz3 == pytest.approx(1.517, rel=0.05)
    assert fit.beta_w == pytest.approx(3.257, rel=0.03)
    assert fit.r_squared > 0.97


def test_idle_and_busy_at_one_clock_are_enough_for_the_power_model():
    fit = fit_power([2e9, 2e9], [0.0, 0.5], [3.0, 7.0])
    assert fit.alpha_w_per_ghz3 == pytest.approx(1.0)
    assert fit.beta_w == pytest.approx(3.0)


@pytest.mark.parametrize(
    ('x', 'y', 'name'),
    [
        ([1.0], [1.0], 'x'),
        ([1.0, 1.0], [1.0, 2.0], 'x'),
        ([1.0, 2.0], [1.0], 'x'),
        ([1.0, math.nan], [1.0, 2.0], 'x'),
        ([1.0, -2.0], [1.0, 2.0], 'x'),
        ([1.0, 2.0], [1.0, 0.0], 'y'),
        ([1.0, 2.0], [1.0, math.inf], 'y'),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, y, name):
    with pytest.raises(InvalidValueError, match=f'^{name} = '):
        fit_line(x, y)
