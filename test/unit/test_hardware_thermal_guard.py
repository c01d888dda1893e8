"""The thermal guard: whatever the temperatures, the clock is never allowed more than they allow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.thermal.thermal_guard import (
    HYSTERESIS_C,
    LOST_AFTER_S,
    PERIOD_S,
    ThermalGuard,
    ThermalLimits,
    ThermalVerdict,
)
from visionscaling_ros.hardware.thermal.throttle import Throttle

LEVELS = (1e8, 2e8, 3e8, 4e8)
LIMITS = ThermalLimits(80.0, 90.0)
NAN = math.nan
temperatures = st.one_of(
    st.floats(20.0, 120.0), st.sampled_from((NAN, -256.0, math.inf, -math.inf, 1e9))
)


class Heat:
    """A guard that is told one temperature a period."""

    def __init__(self, limits: ThermalLimits = LIMITS) -> None:
        self.guard, self.limits, self.now_s = ThermalGuard(), limits, 0.0

    def at(self, temperature_c: float, set_hz: float = 0.0, levels=LEVELS) -> ThermalVerdict:
        self.now_s += PERIOD_S
        return self.guard.update(temperature_c, self.limits, levels, set_hz, self.now_s)

    def ceilings(self, *temperatures_c: float) -> list[float]:
        return [self.at(c).ceiling_hz for c in temperatures_c]


def test_above_the_soft_limit_the_ceiling_sinks_a_level_a_period_and_stays_at_the_lowest() -> None:
    assert Heat().ceilings(81, 81, 81, 81, 81) == [3e8, 2e8, 1e8, 1e8, 1e8]


def test_the_first_cap_is_below_the_level_in_force_not_below_the_highest() -> None:
    assert Heat().at(81.0, set_hz=2e8).ceiling_hz == 1e8


def test_more_readings_in_a_period_do_not_sink_it_faster() -> None:
    guard = ThermalGuard()
    ceilings = [guard.update(85.0, LIMITS, LEVELS, 0.0, 0.1 * n).ceiling_hz for n in range(10)]
    assert set(ceilings) == {3e8}


def test_between_soft_limit_and_hysteresis_nothing_moves() -> None:
    assert Heat().ceilings(81, 79, 80, 75.1, 75) == [3e8] * 5


def test_it_recovers_one_level_a_period_until_any_is_allowed() -> None:
    heat = Heat()
    assert heat.ceilings(81, 81, 81) == [3e8, 2e8, 1e8]
    assert heat.ceilings(70, 70, 70, 70) == [2e8, 3e8, math.inf, math.inf]
    assert heat.at(70.0) == ThermalVerdict()


def test_at_the_hard_limit_the_clock_is_left_to_the_device_until_it_has_cooled_down() -> None:
    heat = Heat()
    verdict = heat.at(90.0)
    assert (verdict.ceiling_hz, verdict.reason) == (0.0, Throttle.HARD_LIMIT)
    assert '90' in verdict.words
    assert heat.ceilings(89, 85.1, 85) == [0.0] * 3
    assert heat.ceilings(84.9) == [1e8]  # the lowest level first
    assert heat.ceilings(74, 74, 74) == [2e8, 3e8, math.inf]


@pytest.mark.parametrize('bad_c', [NAN, -256.0, math.inf, -math.inf, 1e6])
def test_a_temperature_that_is_lost_leaves_the_clock_to_the_device(bad_c: float) -> None:
    heat = Heat()
    assert heat.at(50.0) == ThermalVerdict()
    assert heat.at(bad_c) == ThermalVerdict()  # one bad reading is none
    heat.now_s += LOST_AFTER_S
    verdict = heat.at(bad_c)
    assert (verdict.ceiling_hz, verdict.reason, verdict.lost) == (0.0, Throttle.HARD_LIMIT, True)
    assert heat.at(50.0) == ThermalVerdict()


def test_a_temperature_lost_while_too_hot_keeps_the_clock_with_the_device() -> None:
    assert Heat().ceilings(95, NAN) == [0.0, 0.0]


def test_limits_of_0_switch_off_each_part() -> None:
    assert Heat(ThermalLimits(0.0, 90.0)).ceilings(89, 90, 80) == [math.inf, 0.0, math.inf]
    assert Heat(ThermalLimits(80.0, 0.0)).ceilings(81, 150, 150, 150) == [3e8, 2e8, 1e8, 1e8]
    assert Heat(ThermalLimits(0.0, 0.0)).ceilings(150, NAN, NAN, NAN, NAN) == [math.inf] * 5


def test_limits_that_change_hold_at_the_next_reading() -> None:
    heat = Heat()
    assert heat.ceilings(85) == [3e8]
    heat.limits = ThermalLimits(0.0, 0.0)
    assert heat.ceilings(85) == [math.inf]


def test_levels_that_change_keep_the_ceiling_sensible() -> None:
    heat = Heat()
    assert heat.ceilings(81, 81) == [3e8, 2e8]
    assert heat.at(78.0, levels=(2.5e8, 5e8)).ceiling_hz == 2e8
    assert heat.at(81.0, levels=(2.5e8, 5e8)).ceiling_hz == 2.5e8
    assert heat.at(78.0, levels=()).ceiling_hz == math.inf
    assert heat.at(81.0, levels=(7e8,)).ceiling_hz == 7e8


@pytest.mark.parametrize(
    ('soft_c', 'hard_c'),
    [(90.0, 90.0), (91.0, 90.0), (-1.0, 90.0), (80.0, -1.0), (NAN, 90.0), (80.0, math.inf)],
)
def test_limits_that_make_no_sense_are_refused_by_name(soft_c: float, hard_c: float) -> None:
    with pytest.raises(InvalidValueError, match='limit_c'):
        ThermalLimits(soft_c, hard_c)


@given(st.lists(st.tuples(temperatures, st.floats(0.0, 5.0)), max_size=60))
def test_whatever_is_read_the_ceiling_moves_a_level_at_a_time(readings) -> None:
    guard, now_s, before = ThermalGuard(), 0.0, math.inf
    steps = (*LEVELS, math.inf)
    hot = False
    for temperature_c, pause_s in readings:
        now_s += pause_s
        verdict = guard.update(temperature_c, LIMITS, LEVELS, 0.0, now_s)
        sensible = -60.0 <= temperature_c <= 200.0
        if sensible:
            hot = temperature_c >= 90.0 or (hot and temperature_c >= 90.0 - HYSTERESIS_C)
            assert (verdict.ceiling_hz == 0.0) == hot
        assert bool(verdict.reason) == (verdict.ceiling_hz < math.inf) == bool(verdict.words)
        if verdict.ceiling_hz == 0.0:
            before = LEVELS[0] if hot else before
            continue
        # inf to the level below the highest is one step: the highest itself is no cap
        places = [steps.index(ceiling) for ceiling in (before, verdict.ceiling_hz)]
        assert places[1] - places[0] <= 2
        if sensible and temperature_c > 80.0:
            assert verdict.ceiling_hz <= before
        if sensible and temperature_c < 75.0:
            assert verdict.ceiling_hz >= before
        before = verdict.ceiling_hz


@given(st.lists(st.floats(81.0, 89.0), min_size=len(LEVELS), max_size=20))
def test_heat_that_stays_always_ends_at_the_lowest_level(temperatures_c: list[float]) -> None:
    assert Heat().ceilings(*temperatures_c)[-1] == LEVELS[0]
