"""Conditions: every scenario does what it says, and the same seed gives the same bits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.processes import Draw, dwell, swing, wander
from visionscaling_ros.simulation.profile import PROFILE_NAMES, load_profile
from visionscaling_ros.simulation.scenarios import SCENARIOS, make_conditions
from visionscaling_ros.simulation.uplinks import FadingState, fading, recorded

ORIN = load_profile('agx_orin')
SERIES = ('arrival_fps', 'capacity_bps', 'server_share', 'latency_factor', 'ambient_c')
TRACE = LinkTrace([0.0, 1.5, 3.0, 4.0], [1e6, 0.0, 4e6])


def made(scenario, *, slots=4000, seed=0, **more):
    return make_conditions(scenario, profile=ORIN, slots=slots, seed=seed, **more)


def draw(slots, *, seed=0, slot_s=1.0):
    return Draw(np.random.default_rng(seed), slots, slot_s)


def correlation(values, lag):
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def test_the_scenarios_are_those_of_the_benchmark():
    assert set(SCENARIOS) == {
        'nominal', 'steady', 'slow_drift', 'fast_fading', 'outages', 'server_contention',
        'thermal_throttling', 'bursty_arrivals',
    }  # fmt: skip


@pytest.mark.parametrize('scenario', SCENARIOS)
@pytest.mark.parametrize('name', PROFILE_NAMES)
def test_every_scenario_for_every_device(scenario, name):
    profile = load_profile(name)
    made_for = make_conditions(scenario, profile=profile, slots=500, seed=3)
    assert len(made_for) == 500
    for series in SERIES:
        values = getattr(made_for, series)
        assert values.shape == (500,)
        assert np.all(np.isfinite(values))
        assert np.all(values >= 0.0)
    assert np.all(made_for.server_share <= 1.0)
    assert made_for.point_latency_bias.shape == (len(profile.points),)
    assert np.all(np.abs(made_for.point_latency_bias - 1.0) <= 0.15 + 1e-12)
    assert 0.9 <= made_for.power_bias <= 1.1
    assert made_for.arrival_fps.mean() == pytest.approx(profile.arrival_fps, rel=0.35)


@pytest.mark.parametrize('scenario', SCENARIOS)
@pytest.mark.parametrize('trace', [None, TRACE])
def test_the_same_seed_gives_the_same_bits_and_another_others(scenario, trace):
    first, again, other = (
        made(scenario, slots=300, seed=seed, trace=trace) for seed in (5, 5, 6)
    )
    for series in (*SERIES, 'point_latency_bias'):
        assert getattr(first, series).tobytes() == getattr(again, series).tobytes()
    assert first.power_bias == again.power_bias
    assert not np.array_equal(first.arrival_fps, other.arrival_fps)
    assert not np.array_equal(first.capacity_bps, other.capacity_bps)


def test_the_profile_is_a_little_wrong_in_every_scenario():
    for scenario in SCENARIOS:
        off = np.abs(made(scenario, slots=10, seed=1).point_latency_bias - 1.0)
        assert off.max() > 0.03


def test_steady_hardly_changes():
    conditions = made('steady')
    for series in ('arrival_fps', 'capacity_bps', 'latency_factor'):
        values = getattr(conditions, series)
        assert values.std() < 0.03 * values.mean()


def test_slow_drift_changes_a_lot_but_slowly():
    conditions = made('slow_drift', slots=20_000)
    for series in ('arrival_fps', 'capacity_bps', 'latency_factor'):
        values = getattr(conditions, series)
        assert values.max() > 1.15 * values.min()
        assert correlation(values, 100) > 0.95
        assert np.abs(np.diff(values)).mean() < 0.02 * values.mean()


def test_fast_fading_forgets_within_slots():
    fast, slow = (made(s, slots=10_000).capacity_bps for s in ('fast_fading', 'nominal'))
    assert correlation(fast, 10) < 0.1 < correlation(slow, 10)
    assert fast.std() > 0.6 * fast.mean()


def test_outages_are_dead_for_a_while():
    dead = made('outages', slots=10_000).capacity_bps == 0.0
    assert 0.05 < dead.mean() < 0.4
    starts = np.count_nonzero(np.diff(dead.astype(int)) == 1)
    assert dead.sum() / starts > 8.0


def test_server_contention_comes_in_stretches():
    share = made('server_contention', slots=10_000).server_share
    short = share < 0.2
    assert 0.2 < short.mean() < 0.8
    assert np.count_nonzero(np.diff(short.astype(int)) == 1) < 0.02 * len(share)
    sigma_s = ORIN.points[0].server_time_s
    assert np.any(share < sigma_s * ORIN.arrival_fps)  # short even for the smallest model


def test_heat_rises_and_goes():
    ambient_c = made('thermal_throttling').ambient_c
    assert ambient_c[0] == ambient_c[-1] == 25.0
    full_w = ORIN.device.power_w(ORIN.device.clock_levels_hz[-1], 1.0, 0.0)
    idle_w = ORIN.device.power_w(ORIN.device.clock_levels_hz[0], 0.0, 0.0)
    assert ORIN.thermal.steady_c(full_w, ambient_c.max()) > ORIN.thermal.throttle_c
    assert ORIN.thermal.steady_c(full_w, ambient_c.min()) < ORIN.thermal.throttle_c
    assert ORIN.thermal.steady_c(idle_w, ambient_c.max()) < ORIN.thermal.release_c


def test_bursts_are_bursts():
    bursty, nominal = (made(s, slots=10_000).arrival_fps for s in ('bursty_arrivals', 'nominal'))
    assert nominal.std() < 0.05 * nominal.mean()
    assert bursty.std() > 0.4 * bursty.mean()
    assert correlation(bursty, 3) > 0.5


@given(
    st.lists(st.tuples(st.floats(0.05, 5.0), st.floats(0.0, 1e7)), min_size=1, max_size=8),
    st.floats(0.2, 3.0),
    st.integers(0, 3),
)
def test_a_recorded_uplink_keeps_every_bit(segments, slot_s, seed):
    times = np.concatenate(([0.0], np.cumsum([length for length, _ in segments])))
    trace = LinkTrace(times.tolist(), [rate for _, rate in segments])
    slots = 50
    capacity_bps = recorded(trace, draw(slots, seed=9, slot_s=slot_s), seed=seed)
    start_s = np.random.default_rng(9).uniform(0.0, trace.period_s) if seed else 0.0
    carried = trace.delivered_bits(start_s + slots * slot_s) - trace.delivered_bits(start_s)
    assert np.all(capacity_bps >= 0.0)
    assert capacity_bps.sum() * slot_s == pytest.approx(carried, rel=1e-9, abs=1e-3)


def test_a_recorded_uplink_repeats_and_seed_0_starts_at_its_beginning():
    assert made('nominal', slots=8, trace=TRACE).capacity_bps == pytest.approx(
        [1e6, 0.5e6, 0.0, 4e6] * 2
    )


def test_a_trace_is_the_uplink_whatever_the_scenario():
    for scenario in SCENARIOS:
        conditions = made(scenario, slots=8, trace=TRACE, trace_name='mine')
        assert conditions.trace == 'mine'
        assert conditions.capacity_bps.mean() == pytest.approx(TRACE.mean_bps)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 50), st.floats(1.0, 200.0))
def test_wander_has_mean_0_variance_1_and_its_time_constant(seed, time_constant_s):
    walks = np.array([
        wander(draw(400, seed=1000 * seed + i), time_constant_s)[[0, 100, 110]] for i in range(200)
    ])
    assert np.abs(walks.mean(axis=0)).max() < 0.4
    assert np.abs(walks.var(axis=0) - 1.0).max() < 0.6
    expected = np.exp(-10.0 / time_constant_s)
    assert abs(np.mean(walks[:, 1] * walks[:, 2]) - expected) < 0.4


def test_dwelling_lasts_as_long_as_it_should():
    states = dwell(draw(60_000, slot_s=0.5), [20.0, 5.0, 10.0])
    for state, dwell_s in enumerate((20.0, 5.0, 10.0)):
        inside = states == state
        visits = np.count_nonzero(np.diff(inside.astype(int)) == 1)
        assert 0.5 * inside.sum() / visits == pytest.approx(dwell_s, rel=0.15)
    assert states[0] == 0
    assert np.all(dwell(draw(50), [3.0]) == 0)


def test_a_swing_is_a_sinusoid():
    values = swing(draw(4000), 1000.0)
    assert values.max() == pytest.approx(1.0, abs=1e-4)
    assert np.abs(values[:-1000] - values[1000:]).max() < 1e-9


def test_fading_has_the_medians_of_its_states():
    states = (FadingState(5e6, 0.3, 30.0), FadingState(0.0, 0.0, 30.0))
    capacity_bps = fading(states, draw(50_000), coherence_s=2.0)
    assert np.median(capacity_bps[capacity_bps > 0.0]) == pytest.approx(5e6, rel=0.05)
    assert np.mean(capacity_bps == 0.0) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ('change', 'name'),
    [
        ({'slots': 0}, 'slots'),
        ({'seed': -1}, 'seed'),
        ({'slot_s': 0.0}, 'slot_s'),
        ({'slot_s': float('nan')}, 'slot_s'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change, name):
    with pytest.raises(InvalidValueError, match=f'^{name} = '):
        made('nominal', **change)


def test_an_unknown_scenario_tells_the_known_ones():
    with pytest.raises(InvalidValueError, match='steady, slow_drift'):
        made('sunny')


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'capacity_bps': np.full(10, -1.0)}, 'capacity_bps'),
        ({'arrival_fps': np.full(10, np.nan)}, 'arrival_fps'),
        ({'server_share': np.ones(9)}, 'shape of server_share'),
        ({'point_latency_bias': np.array([np.inf])}, 'point_latency_bias'),
        ({'slot_s': -1.0}, 'slot_s'),
    ],
)
def test_conditions_that_cannot_be_are_refused(change, says):
    with pytest.raises(InvalidValueError, match=says):
        dataclasses.replace(made('steady', slots=10), **change)
