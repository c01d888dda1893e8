"""The power model."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.control import DeviceModel

DEVICE = DeviceModel((3e8, 1.3e9, 8e8), 1.5, 3.0, 4.0, 0.54, 0.08)


def test_levels_ascend() -> None:
    assert DEVICE.clock_levels_hz == (3e8, 8e8, 1.3e9)
    assert DEVICE.can_set_clock


def test_power_by_hand() -> None:
    assert DEVICE.power_w(1e9, 0.5, 2e6) == pytest.approx(4.0 + 3.0 + 0.75 + 0.54 + 0.16)
    assert DEVICE.power_w(1e9, 0.0, 0.0) == pytest.approx(7.0)
    assert DEVICE.p_max_w == pytest.approx(7.54 + 1.5 * 1.3**3)


def test_agx_orin_measurement_is_reproduced() -> None:
    """GPU rail of a Jetson AGX Orin at 640 px, 918 MHz: 4.37 W measured."""
    orin = DeviceModel((9.18e8,), alpha_w_per_ghz3=1.517, beta_w=3.257)
    assert orin.power_w(9.18e8, 1.0, 0.0) == pytest.approx(4.37, rel=0.05)


def test_unknown_figures_count_as_nothing() -> None:
    device = DeviceModel((math.nan, -1.0, 0.0, 1e9), math.nan, -3.0, math.inf)
    assert device.clock_levels_hz == (1e9,)
    assert device.power_w(1e9, 1.0, 0.0) == 0.0
    assert device.p_max_w == 1.0


@pytest.mark.parametrize(('running_hz', 'expected_hz'), [(2e9, 2e9), (math.nan, 1e9), (0.0, 1e9)])
def test_a_clock_that_cannot_be_set(running_hz: float, expected_hz: float) -> None:
    device = DeviceModel(frequency_hz=running_hz)
    assert not device.can_set_clock
    assert device.clock_levels_hz == (expected_hz,)


@given(st.floats(1e8, 2e9), st.floats(0, 1), st.floats(0, 1e8))
def test_power_never_falls_with_clock_load_or_rate(hz: float, load: float, bps: float) -> None:
    power_w = DEVICE.power_w(hz, load, bps)
    assert DEVICE.power_w(hz * 1.1, load, bps) >= power_w
    assert DEVICE.power_w(hz, min(1.0, load + 0.1), bps) >= power_w
    assert DEVICE.power_w(hz, load, bps + 1e5) >= power_w
