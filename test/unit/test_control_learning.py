"""Each learner converges to a truth it is not told, and no freak slot throws it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings, DeviceModel, Forecaster
from visionscaling_ros.control.arrival_forecast import ArrivalForecast
from visionscaling_ros.control.capacity_forecast import CapacityForecast
from visionscaling_ros.control.clock_cap import COOL_SLOTS, PROBE_SLOTS, ClockCap
from visionscaling_ros.control.device_forecast import DeviceForecast
from visionscaling_ros.control.edge_forecast import EdgeForecast
from visionscaling_ros.control.forecast import CAPACITY_QUANTILES
from visionscaling_ros.control.point_forecast import PointForecast
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotDecision, SlotState

LEVELS_HZ = tuple(f * 1e6 for f in (300.0, 500.0, 700.0, 900.0, 1100.0, 1300.0))
DEVICE = DeviceModel(LEVELS_HZ, 1.5, 3.0, 4.0, 0.5, 0.08)
POINTS = tuple(
    OperatingPoint(model, size, 0.4, work * size / 320.0, 0.004, 1e3 * size)
    for model, work in (('n', 0.008), ('s', 0.016))
    for size in (160, 320)
)
SEEDS = st.integers(0, 2**32 - 1)


def sampled(capacity_bps: float, age_s: float = 0.0, **changes: object) -> SlotState:
    """A slot in which the uplink was measured."""
    state = SlotState(
        slot=0,
        duration_s=1.0,
        uplink_capacity_bps=capacity_bps,
        uplink_capacity_age_s=age_s,
        edge_reachable=True,
        operating_points=POINTS,
    )
    return dataclasses.replace(state, **changes)  # type: ignore[arg-type]


# Capacity


@pytest.mark.parametrize(('coherence', 'spread'), [(0.0, 0.3), (0.9, 0.2), (0.99, 0.05)])
def test_capacity_quantiles_are_calibrated(coherence: float, spread: float) -> None:
    rng = np.random.default_rng(1)
    forecast, level = CapacityForecast(), 0.0
    below = np.zeros(len(CAPACITY_QUANTILES))
    slots = 4000
    forecast.observe(1e6)
    for _ in range(slots):
        predicted = [forecast.quantile_bps(q) for q in CAPACITY_QUANTILES]
        assert predicted == sorted(predicted)
        level = coherence * level + spread * rng.standard_normal()
        capacity_bps = 1e6 * math.exp(level)
        below += [capacity_bps < p for p in predicted]
        forecast.observe(capacity_bps)
    np.testing.assert_allclose(below / slots, CAPACITY_QUANTILES, atol=0.03)


def test_a_steady_uplink_is_used_in_full_and_a_noisy_one_is_not_chased() -> None:
    steady, noisy = CapacityForecast(), CapacityForecast()
    rng = np.random.default_rng(2)
    errors = []
    for slot in range(300):
        steady.observe(5e6)
        noisy.observe(5e6 * math.exp(0.3 * rng.standard_normal()))
        if slot >= 100:
            errors.append(math.log(noisy.quantile_bps(0.5) / 5e6))
    assert steady.quantile_bps(0.25) == pytest.approx(5e6)
    assert np.std(errors) < 0.2  # the last sample would have 0.3


@given(st.lists(st.floats(0.0, 1e12), min_size=1, max_size=120))
def test_capacity_quantiles_are_finite_and_ordered_for_any_samples(samples: list[float]) -> None:
    forecast = CapacityForecast()
    for sample in samples:
        forecast.observe(sample)
    predicted = [forecast.quantile_bps(q) for q in (0.01, 0.1, 0.5, 0.9, 0.99)]
    assert all(0.0 < p < math.inf for p in predicted)
    assert predicted == sorted(predicted)


def test_a_dead_uplink_is_tried_again_sooner_than_a_stale_one() -> None:
    settings_ = ControlSettings(capacity_stale_s=10.0, exploration_fps=1.0)
    for capacity_bps, unknown_after in ((0.0, 3), (5e6, 11)):
        edge = EdgeForecast()
        for age in range(15):
            edge.observe(sampled(capacity_bps, float(age)), 10.0)
            assert edge.believed(settings_, 160e3) == (age < unknown_after), (capacity_bps, age)


# Arrivals


@given(st.floats(1.0, 60.0), st.floats(0.0, 200.0), st.floats(0.1, 1.0))
def test_one_odd_slot_moves_arrivals_a_frame_at_most_and_two_are_a_step(
    usual_fps: float, odd_fps: float, smoothing: float
) -> None:
    arrivals = ArrivalForecast()
    for _ in range(10):
        arrivals.observe(usual_fps, 1.0, smoothing)
    arrivals.observe(odd_fps, 1.0, smoothing)
    assert abs(arrivals.arrival_fps - usual_fps) <= 1.0 + 1e-9
    arrivals.observe(odd_fps, 1.0, smoothing)
    assert abs(arrivals.arrival_fps - odd_fps) <= 6.0


def test_arrivals_average_noise() -> None:
    rng = np.random.default_rng(3)
    arrivals, errors = ArrivalForecast(), []
    for _ in range(2000):
        arrivals.observe(20.0 + 4.0 * rng.standard_normal(), 1.0, 0.5)
        errors.append(arrivals.arrival_fps - 20.0)
    assert np.std(errors) < 3.2
    assert abs(np.mean(errors)) < 0.2


# Latency


def ran(
    rates: dict[int, float], factors: np.ndarray, frequency_hz: float = 900e6, **changes: object
) -> SlotState:
    """A slot in which these configurations ran locally on a robot with these true factors."""
    busy = sum(r * factors[k] * POINTS[k].local_latency_s(frequency_hz) for k, r in rates.items())
    state = SlotState(
        slot=0,
        duration_s=1.0,
        gpu_utilization=busy,
        gpu_frequency_hz=frequency_hz,
        processed=tuple(
            Allocation(POINTS[k].model, POINTS[k].input_size_px, Origin.LOCAL, rate)
            for k, rate in rates.items()
        ),
        operating_points=POINTS,
    )
    return dataclasses.replace(state, **changes)  # type: ignore[arg-type]


def latency_error(points: PointForecast, factors: np.ndarray, k: int) -> float:
    corrected = points.corrected(())[k].local_latency_s(900e6)
    return abs(corrected / (factors[k] * POINTS[k].local_latency_s(900e6)) - 1.0)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.floats(0.6, 1.8))
def test_latencies_of_configurations_that_run_converge(seed: int, common: float) -> None:
    rng = np.random.default_rng(seed)
    factors = common * np.exp(0.1 * np.clip(rng.standard_normal(len(POINTS)), -2.0, 2.0))
    points = PointForecast()
    for _ in range(150):
        main, other = rng.permutation(len(POINTS))[:2]
        points.observe(ran({int(main): 6.0, int(other): 3.0}, factors, rng.choice(LEVELS_HZ)))
    assert max(latency_error(points, factors, k) for k in range(len(POINTS))) < 0.12


def test_what_one_configuration_shows_is_expected_of_the_others() -> None:
    points, factors = PointForecast(), np.full(len(POINTS), 1.5)
    for _ in range(30):
        points.observe(ran({0: 20.0}, factors))
    assert latency_error(points, factors, 0) < 0.02
    assert latency_error(points, factors, 3) < 0.15  # it may be this configuration's own
    assert points.latency_factor > 1.25


def test_another_load_on_the_gpu_is_followed_in_a_few_slots() -> None:
    points, factors = PointForecast(), np.ones(len(POINTS))
    for _ in range(50):
        points.observe(ran({0: 12.0, 1: 6.0}, factors))
    for _ in range(6):
        points.observe(ran({0: 12.0, 1: 6.0}, 1.5 * factors))
    assert latency_error(points, 1.5 * factors, 0) < 0.05


FREAKS = st.sampled_from(
    [
        {'gpu_utilization': 5.0},
        {'gpu_utilization': 1e-9},
        {'gpu_utilization': 0.01},
        {'gpu_utilization': math.nan},
        {'gpu_utilization': -1.0},
        {'gpu_frequency_hz': math.nan},
        {'gpu_frequency_hz': 0.0},
        {'duration_s': 3.0},
        {'duration_s': math.nan},
        {'processed': ()},
        {'processed': (Allocation('unknown', 1, Origin.LOCAL, 5.0),)},
        {'processed': (Allocation('n', 160, Origin.LOCAL, math.nan),)},
    ]
)


@given(FREAKS)
def test_a_freak_slot_moves_latencies_by_a_tenth_at_most(freak: dict[str, object]) -> None:
    points, factors = PointForecast(), np.full(len(POINTS), 1.2)
    for _ in range(60):
        points.observe(ran({0: 12.0, 1: 6.0}, factors))
    points.observe(ran({0: 12.0, 1: 6.0}, factors, **freak))
    assert latency_error(points, factors, 0) < 0.1


def test_operating_points_stay_the_same_object_while_nothing_moves() -> None:
    points, factors = PointForecast(), np.full(len(POINTS), 1.3)
    assert points.corrected(()) is points.corrected(())
    for _ in range(100):
        points.observe(ran({0: 12.0}, factors))
        corrected = points.corrected(())
    measured_again = tuple(
        dataclasses.replace(p, gpu_work_ghz_s=1.002 * p.gpu_work_ghz_s) for p in POINTS
    )
    points.observe(ran({0: 12.0}, factors, operating_points=measured_again))
    assert points.corrected(()) is corrected
    points.observe(ran({0: 12.0}, 1.5 * factors))
    points.observe(ran({0: 12.0}, 1.5 * factors))
    assert points.corrected(()) is not corrected


def test_only_allowed_models_are_offered_unless_none_is_left() -> None:
    points = PointForecast()
    points.observe(ran({0: 12.0}, np.ones(len(POINTS))))
    assert {p.model for p in points.corrected(('s', 'unknown'))} == {'s'}
    assert {p.model for p in points.corrected(('unknown',))} == {'n', 's'}
    assert points.corrected(()) == POINTS


# Power


def drawn(
    bias: float, offset_w: float, utilization: float, frequency_hz: float, **changes: object
) -> SlotState:
    dynamic_w = bias * DEVICE.gpu_dynamic_power_w(frequency_hz)
    state = SlotState(
        slot=0,
        duration_s=1.0,
        gpu_utilization=utilization,
        gpu_frequency_hz=frequency_hz,
        power_w=DEVICE.base_w + DEVICE.beta_w + offset_w + utilization * dynamic_w,
    )
    return dataclasses.replace(state, **changes)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.floats(0.7, 1.5), st.floats(-0.5, 0.5))
def test_power_model_converges(seed: int, bias: float, offset_w: float) -> None:
    rng = np.random.default_rng(seed)
    device = DeviceForecast()
    device.corrected(DEVICE)
    for _ in range(200):
        slot = drawn(bias, offset_w, rng.uniform(0.2, 1.0), rng.choice(LEVELS_HZ))
        device.observe(slot, 0.0, 85.0)
    assert device.power_factor == pytest.approx(bias, abs=0.08)
    assert device.power_offset_w == pytest.approx(offset_w, abs=0.1)
    corrected = device.corrected(DEVICE)
    expected_w = drawn(bias, offset_w, 0.8, 1300e6).power_w
    assert corrected.power_w(1300e6, 0.8, 0.0) == pytest.approx(expected_w, rel=0.03)
    assert corrected.p_max_w == DEVICE.p_max_w  # weights keep their meaning


@given(st.sampled_from([math.nan, math.inf, -5.0, 0.0, 1e4]))
def test_a_freak_power_moves_the_model_little(power_w: float) -> None:
    device = DeviceForecast()
    device.corrected(DEVICE)
    for slot in range(60):
        device.observe(drawn(1.1, 0.0, 0.3 + 0.01 * slot, LEVELS_HZ[slot % 6]), 0.0, 85.0)
    before = device.power_factor
    device.observe(drawn(1.1, 0.0, 0.8, 1300e6, power_w=power_w), 0.0, 85.0)
    assert device.power_factor == pytest.approx(before, abs=0.1)


def test_the_device_stays_the_same_object_while_nothing_moves() -> None:
    device = DeviceForecast()
    assert device.corrected(DEVICE) is DEVICE
    for slot in range(200):
        device.observe(drawn(1.3, 0.0, 0.3 + 0.003 * slot, LEVELS_HZ[slot % 6]), 0.0, 85.0)
        corrected = device.corrected(DEVICE)
    assert corrected is not DEVICE
    device.observe(drawn(1.3, 0.0, 0.5, 900e6), 0.0, 85.0)
    assert device.corrected(DEVICE) is corrected
    assert device.corrected(dataclasses.replace(DEVICE, frequency_hz=300e6)) is corrected
    assert device.corrected(dataclasses.replace(DEVICE, base_w=9.0)).base_w > 8.0


# Clock


def test_the_clock_is_lowered_while_too_warm_and_raised_again_when_cooler() -> None:
    cap = ClockCap(LEVELS_HZ)
    levels = []
    for _ in range(8):
        cap.observe(90.0, 85.0, LEVELS_HZ[cap.level], LEVELS_HZ[cap.level])
        levels.append(cap.level)
    assert levels == [4, 3, 2, 1, 0, 0, 0, 0]
    for _ in range(20):
        cap.observe(83.0, 85.0, LEVELS_HZ[cap.level], LEVELS_HZ[cap.level])
    assert cap.level == 0  # no longer too warm, not yet cooler
    for slot in range(1, 6 * COOL_SLOTS):
        cap.observe(70.0, 85.0, LEVELS_HZ[cap.level], LEVELS_HZ[cap.level])
        assert cap.level == min(slot // COOL_SLOTS, 5)


@given(st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_broken_thermometer_changes_nothing_and_no_limit_frees_the_clock(broken_c: float) -> None:
    cap = ClockCap(LEVELS_HZ)
    cap.observe(90.0, 85.0, LEVELS_HZ[5], LEVELS_HZ[5])
    for _ in range(30):
        cap.observe(broken_c, 85.0, LEVELS_HZ[4], LEVELS_HZ[4])
    assert cap.level == 4
    cap.observe(broken_c, 0.0, LEVELS_HZ[4], LEVELS_HZ[4])
    assert cap.level == 5


def test_a_board_that_holds_back_is_believed_and_tried_again() -> None:
    cap, ceiling, tried = ClockCap(LEVELS_HZ), 2, []
    for _ in range(6 * PROBE_SLOTS):
        decided = cap.level
        cap.observe(60.0, 85.0, LEVELS_HZ[min(decided, ceiling)], LEVELS_HZ[decided])
        tried.append(decided)
    assert tried[:3] == [5, 5, 2]
    above = [level for level in tried[3:] if level > ceiling]
    assert set(above) == {3}
    assert 3 <= len(above) <= 6
    for _ in range(2 * PROBE_SLOTS):  # it lets go
        cap.observe(60.0, 85.0, LEVELS_HZ[cap.level], LEVELS_HZ[cap.level])
    assert cap.level == 5


def test_one_late_clock_report_is_no_throttling() -> None:
    cap = ClockCap(LEVELS_HZ)
    cap.observe(60.0, 85.0, LEVELS_HZ[0], LEVELS_HZ[5])
    cap.observe(60.0, 85.0, LEVELS_HZ[5], LEVELS_HZ[5])
    assert cap.level == 5


# All together


def test_the_forecast_honours_limits_and_says_what_it_believes() -> None:
    forecaster = Forecaster(
        ControlSettings(allow_edge=False, allowed_models=('s',), accuracy_target_map=0.9)
    )
    state = ran({2: 12.0}, np.full(len(POINTS), 1.5), gpu_temperature_c=90.0, edge_reachable=True)
    decision = SlotDecision(0, (), LEVELS_HZ[5], 0.0, 12.0, 'x')
    for slot in range(10):
        forecaster.observe(dataclasses.replace(state, arrival_fps=12.0), decision)
        forecast = forecaster.forecast(slot, DEVICE)
    assert not forecast.edge_reachable
    assert {p.model for p in forecast.operating_points} == {'s'}
    assert forecast.device.available_frequencies_hz == LEVELS_HZ[:1]
    beliefs = forecaster.beliefs()
    assert beliefs.arrival_fps == pytest.approx(12.0)
    assert beliefs.clock_cap_hz == LEVELS_HZ[0]
    assert not beliefs.edge_usable
    assert not beliefs.target_feasible
    assert beliefs.latency_factor > 1.2
