"""Only levels of the hardware, within the bounds, never hotter than allowed."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clock_target import RELEASE_HZ, target_level
from visionscaling_ros.hardware.keeper_settings import KeeperSettings

LEVELS = (1e8, 2e8, 3e8, 4e8)
clocks = st.floats(1.0, 9e8)


def test_a_wish_is_rounded_up_to_a_level_within_the_bounds() -> None:
    bounded = KeeperSettings(min_frequency_hz=1.5e8, max_frequency_hz=3.5e8)
    wishes = (1.0, 2e8, 2.1e8, 9e9)
    assert [target_level(LEVELS, w, KeeperSettings(), math.inf) for w in wishes] == [
        1e8, 2e8, 3e8, 4e8,
    ]  # fmt: skip
    assert [target_level(LEVELS, w, bounded, math.inf) for w in wishes] == [2e8, 2e8, 3e8, 3e8]


def test_heat_goes_below_the_lower_bound() -> None:
    bounded = KeeperSettings(min_frequency_hz=3e8)
    assert target_level(LEVELS, 4e8, bounded, 2e8) == 2e8
    assert target_level(LEVELS, 4e8, bounded, 5e7) == 1e8  # there is nothing lower to set


@pytest.mark.parametrize(
    ('levels', 'wanted_hz', 'ceiling_hz'),
    [((), 1e8, math.inf), (LEVELS, RELEASE_HZ, math.inf), (LEVELS, 1e8, 0.0)],
)
def test_without_levels_wish_or_leave_the_clock_is_left_to_the_device(
    levels: tuple[float, ...], wanted_hz: float, ceiling_hz: float
) -> None:
    assert target_level(levels, wanted_hz, KeeperSettings(), ceiling_hz) == RELEASE_HZ


def test_no_level_between_the_bounds_is_an_error_that_lists_the_levels() -> None:
    bounded = KeeperSettings(min_frequency_hz=2.1e8, max_frequency_hz=2.9e8)
    with pytest.raises(HardwareError, match='100, 200, 300, 400 MHz'):
        target_level(LEVELS, 2e8, bounded, math.inf)


@pytest.mark.parametrize(
    'bad',
    [
        {'min_frequency_hz': 2e8, 'max_frequency_hz': 1e8},
        {'min_frequency_hz': math.nan},
        {'max_frequency_hz': -1.0},
        {'decision_timeout_s': 0.0},
        {'period_s': math.inf},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(bad)).split('_')[-1]):
        KeeperSettings(**bad)


@given(
    st.sets(clocks, min_size=1).map(sorted), clocks, clocks, clocks,
    st.one_of(st.just(math.inf), clocks),
)  # fmt: skip
def test_it_is_always_a_level_and_as_low_as_heat_wants(
    levels: list[float], wanted_hz: float, one_hz: float, other_hz: float, ceiling_hz: float
) -> None:
    low_hz, high_hz = sorted((one_hz, other_hz))
    within = [level for level in levels if low_hz <= level <= high_hz]
    assume(within)
    target_hz = target_level(levels, wanted_hz, KeeperSettings(low_hz, high_hz), ceiling_hz)
    assert target_hz in levels
    assert target_hz <= max(ceiling_hz, levels[0])
    assert target_hz <= max(within)
    if within[0] <= ceiling_hz:
        assert target_hz in within
