"""How useful a frame rate is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from visionscaling_ros.control.rate_utility import (
    HALF_RATE_FPS,
    rate_utility,
    rate_utility_slope,
)

RATES_FPS = np.array([1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0])
F1 = np.array([0.50, 0.62, 0.69, 0.76, 0.81, 0.83, 0.83])


def test_constant_is_the_fit_to_the_published_points() -> None:
    (scale, half), _ = curve_fit(lambda p, a, h: a * p / (p + h), RATES_FPS, F1, p0=(0.8, 1.0))
    assert pytest.approx(half, abs=1e-3) == HALF_RATE_FPS
    residual = F1 - scale * RATES_FPS / (RATES_FPS + half)
    assert 1.0 - residual @ residual / np.sum((F1 - F1.mean()) ** 2) > 0.995


def test_is_normalised() -> None:
    assert rate_utility(0.0, 30.0) == 0.0
    assert rate_utility(30.0, 30.0) == pytest.approx(1.0)


@given(st.floats(0.0, 100.0), st.floats(1.0, 60.0))
def test_slope_is_the_derivative_and_falls(processed_fps: float, full_fps: float) -> None:
    step = 1e-6 * (1.0 + processed_fps)
    rise = rate_utility(processed_fps + step, full_fps) - rate_utility(processed_fps, full_fps)
    slope = rate_utility_slope(processed_fps, full_fps)
    assert rise / step == pytest.approx(slope, rel=1e-3)
    assert 0.0 < rate_utility_slope(processed_fps + 1.0, full_fps) < slope
