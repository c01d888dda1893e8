"""Energy out of samples: exact where power is known, a gap where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.hardware.power.energy_counter import EnergyCounter
from visionscaling_ros.hardware.power.energy_integrator import MAX_PERIODS, EnergyIntegrator
from visionscaling_ros.hardware.power.power_meter import PowerSample

PERIOD_S = 0.01
RAILS = ('cpu', 'gpu')

steps_s = st.floats(0.1 * PERIOD_S, 0.99 * MAX_PERIODS * PERIOD_S)
powers_w = st.floats(0.0, 100.0)
segments = st.lists(st.tuples(steps_s, powers_w, powers_w), min_size=1, max_size=40)


def power(time_s: float, cpu_w: float, gpu_w: float = 0.0) -> PowerSample:
    return PowerSample(time_s, {'cpu': cpu_w, 'gpu': gpu_w, 'a part': 1e9})


def counted(time_s: float, cpu_j: float, restarted: bool = False) -> PowerSample:
    return PowerSample(time_s, {}, {'cpu': cpu_j}, frozenset({'cpu'} if restarted else ()))


@given(segments)
def test_piecewise_linear_power_is_integrated_exactly(
    steps: list[tuple[float, float, float]],
) -> None:
    integrator = EnergyIntegrator(RAILS, PERIOD_S)
    time_s, before_w, exact_j = 1000.0, 0.0, 0.0
    integrator.add(power(time_s, 0.0))
    for step_s, cpu_w, gpu_w in steps:
        now_s = time_s + step_s
        exact_j += (now_s - time_s) * (before_w + cpu_w + gpu_w) / 2.0
        time_s, before_w = now_s, cpu_w + gpu_w
        integrator.add(power(time_s, cpu_w, gpu_w))
    assert integrator.energy_j == pytest.approx(exact_j, rel=1e-9, abs=1e-12)
    assert integrator.measured_s == pytest.approx(time_s - 1000.0)
    assert (integrator.gap_s, integrator.gaps) == (0.0, 0)


events = st.lists(
    st.tuples(st.floats(1e-4, 0.2), st.sampled_from(['power', 'lost rail', 'failed'])),
    min_size=2,
    max_size=60,
)


@given(events)
def test_measured_time_and_gaps_add_up_to_all_time(happened: list[tuple[float, str]]) -> None:
    integrator = EnergyIntegrator(RAILS, PERIOD_S)
    time_s = 50.0
    integrator.add(power(time_s, 7.0, 3.0))
    for step_s, what in happened:
        time_s += step_s
        if what == 'power':
            integrator.add(power(time_s, 7.0, 3.0))
        elif what == 'lost rail':
            integrator.add(PowerSample(time_s, {'cpu': 7.0}))
        else:
            integrator.miss(time_s)
    integrator.add(power(time_s := time_s + PERIOD_S, 7.0, 3.0))
    assert integrator.measured_s + integrator.gap_s == pytest.approx(time_s - 50.0)
    assert integrator.energy_j == pytest.approx(10.0 * integrator.measured_s)
    assert integrator.gaps <= len(happened) + 1


def test_a_long_pause_is_one_gap_and_holds_no_energy() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    for time_s in (0.0, 0.01, 0.02, 5.0, 5.01):
        integrator.add(power(time_s, 10.0))
    assert integrator.energy_j == pytest.approx(0.3)
    assert integrator.gap_s == pytest.approx(4.98)
    assert integrator.gaps == 1


def test_failures_in_a_row_are_one_gap_that_grows() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    integrator.add(power(0.0, 10.0))
    seen_s = []
    for step in range(1, 21):
        integrator.miss(0.01 * step)
        seen_s.append(integrator.gap_s)
    assert seen_s == sorted(seen_s)
    assert integrator.gap_s == pytest.approx(0.2)
    integrator.add(power(0.21, 10.0))
    integrator.add(power(0.22, 10.0))
    assert (integrator.gaps, integrator.gap_s) == (1, pytest.approx(0.21))
    assert integrator.energy_j == pytest.approx(0.1)


def test_one_failed_reading_is_bridged() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    integrator.add(power(0.0, 10.0))
    integrator.miss(0.01)
    integrator.add(power(0.02, 10.0))
    assert (integrator.gaps, integrator.energy_j) == (0, pytest.approx(0.2))


def test_time_before_the_first_sample_is_a_gap() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    integrator.miss(10.0)
    integrator.miss(11.0)
    integrator.add(power(12.0, 10.0))
    assert (integrator.gaps, integrator.gap_s, integrator.energy_j) == (1, 2.0, 0.0)


def test_a_counter_is_preferred_and_spans_a_late_sample() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    integrator.add(PowerSample(0.0, {'cpu': 999.0}, {'cpu': 5.0}))
    integrator.add(PowerSample(8.0, {'cpu': 999.0}, {'cpu': 45.0}))
    assert integrator.energy_j == pytest.approx(40.0)
    assert integrator.gap_s == 0.0


def test_a_counter_that_began_anew_is_a_gap_of_that_stretch_only() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    integrator.add(counted(0.0, 0.0))
    integrator.add(counted(0.01, 1.0))
    integrator.add(counted(0.02, 1.0, restarted=True))
    integrator.add(counted(0.03, 2.0))
    assert integrator.energy_j == pytest.approx(2.0)
    assert integrator.gap_s == pytest.approx(0.01)
    assert integrator.gaps == 1


def test_a_restart_told_with_another_rail_lost_is_a_gap_and_not_forgotten() -> None:
    integrator = EnergyIntegrator(('p0', 'p1'), 1.0)
    integrator.add(PowerSample(0.0, {}, {'p0': 0.0, 'p1': 0.0}))
    integrator.add(PowerSample(1.0, {}, {'p0': 10.0, 'p1': 10.0}))
    integrator.add(PowerSample(2.0, {}, {'p0': 10.0}, frozenset({'p0'})))
    assert (integrator.gap_s, integrator.gaps) == (1.0, 1)
    integrator.add(PowerSample(3.0, {}, {'p0': 20.0, 'p1': 30.0}))
    integrator.add(PowerSample(4.0, {}, {'p0': 30.0, 'p1': 40.0}))
    assert integrator.energy_j == pytest.approx(20.0 + 20.0)
    assert (integrator.measured_s, integrator.gap_s, integrator.gaps) == (2.0, 2.0, 1)


def test_a_sample_is_overdue_after_as_long_as_can_be_bridged() -> None:
    integrator = EnergyIntegrator(('cpu',), 1.0)
    assert integrator.overdue_s(100.0) == 0.0
    integrator.add(power(5.0, 10.0))
    assert integrator.overdue_s(5.0 + MAX_PERIODS) == 0.0
    assert integrator.overdue_s(8.5) == 3.5
    assert (integrator.gap_s, integrator.gaps) == (0.0, 0)
    integrator.add(power(9.0, 10.0))
    assert (integrator.overdue_s(9.0), integrator.gap_s) == (0.0, 4.0)


def test_a_restart_of_a_part_is_no_gap() -> None:
    integrator = EnergyIntegrator(('cpu',), PERIOD_S)
    integrator.add(PowerSample(0.0, {}, {'cpu': 0.0, 'core': 0.0}))
    integrator.add(PowerSample(0.01, {}, {'cpu': 1.0, 'core': 0.0}, frozenset({'core'})))
    assert (integrator.energy_j, integrator.gaps) == (1.0, 0)


class TestCounter:
    @given(
        start=st.integers(0, 2**32 - 1),
        grown=st.lists(st.integers(0, 10**6), min_size=1, max_size=60),
        counts=st.integers(10**8, 2**32),
    )
    def test_wraps_anywhere_lose_nothing(self, start: int, grown: list[int], counts: int) -> None:
        counter = EnergyCounter(1e-6, counts, max_power_w=100.0, period_s=0.005)
        count, time_s = start % counts, 5.0
        assert counter.update(count, time_s)
        for step in grown:
            count, time_s = (count + step) % counts, time_s + 0.01
            assert counter.update(count, time_s)
        assert counter.energy_j == pytest.approx(1e-6 * sum(grown))
        assert counter.power_w >= 0.0

    @given(st.integers(10**6, 2**32 - 1), st.integers(0, 10**4))
    def test_a_counter_that_began_anew_counts_on_from_there(self, before: int, after: int) -> None:
        counter = EnergyCounter(1e-6, 2**40, max_power_w=100.0, period_s=0.005)
        counter.update(before, 0.0)
        counter.update(before + 500, 0.01)
        assert not counter.update(after, 0.02)
        assert counter.energy_j == pytest.approx(500e-6)
        assert counter.update(after + 1000, 0.03)
        assert counter.energy_j == pytest.approx(1500e-6)
        assert counter.power_w == pytest.approx(0.1)

    def test_without_a_range_any_fall_is_a_restart(self) -> None:
        counter = EnergyCounter(1e-3, None, max_power_w=1000.0, period_s=0.1)
        assert counter.update(1000, 0.0)
        assert not counter.update(999, 0.1)

    def test_a_jump_that_nothing_could_draw_is_not_counted(self) -> None:
        counter = EnergyCounter(1e-3, None, max_power_w=1000.0, period_s=0.1)
        counter.update(0, 0.0)
        assert not counter.update(10**9, 0.1)
        assert counter.energy_j == 0.0

    def test_time_enough_to_wrap_twice_is_not_counted(self) -> None:
        counter = EnergyCounter(1e-6, 10**6, max_power_w=100.0, period_s=0.005)
        counter.update(0, 0.0)
        assert not counter.update(500, 60.0)

    def test_the_mean_power_is_over_a_period_at_least(self) -> None:
        counter = EnergyCounter(1.0, None, max_power_w=1000.0, period_s=1.0)
        counter.update(0, 0.0)
        counter.update(50, 0.1)  # a burst is no power
        assert not counter.power_w >= 0.0
        counter.update(60, 1.0)
        assert counter.power_w == pytest.approx(60.0)
