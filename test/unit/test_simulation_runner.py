"""A run from first slot to last, and what it comes to."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings, make_policy
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision
from visionscaling_ros.simulation.metrics import (
    cumulative_fit,
    cumulative_regret,
    summarize,
    weighted_quantile,
)
from visionscaling_ros.simulation.profile import PROFILE_NAMES, load_profile
from visionscaling_ros.simulation.runner import Run, simulate
from visionscaling_ros.simulation.scenarios import SCENARIOS, make_conditions

PROFILE = load_profile('agx_orin')
SETTINGS = ControlSettings(
    accuracy_target_map=PROFILE.accuracy_target_map, full_rate_fps=PROFILE.full_rate_fps
)


class Scripted:
    """Plays decisions in turn and remembers what it was told."""

    name = 'scripted'

    def __init__(self, *decisions):
        self.settings = SETTINGS
        self._decisions = decisions
        self.forecasts = []
        self.states = []

    def decide(self, forecast):
        self.forecasts.append(forecast)
        return self._decisions[forecast.slot % len(self._decisions)]

    def observe(self, state):
        self.states.append(state)


def decision_of(*allocations, clock_hz=816e6, multiplier=0.0):
    return SlotDecision(
        slot=0, allocations=allocations, gpu_frequency_hz=clock_hz, tx_rate_bps=0.0,
        arrival_fps=20.0, policy='scripted', multiplier=multiplier,
    )  # fmt: skip


LOCAL = decision_of(Allocation('yolov8n', 480, Origin.LOCAL, 10.0), multiplier=0.5)
EDGE = decision_of(Allocation('yolov8n', 480, Origin.EDGE, 10.0))


def conditions_of(scenario='nominal', *, slots=60, seed=1, profile=PROFILE):
    return make_conditions(scenario, profile=profile, slots=slots, seed=seed)


def played(*decisions, slots=60, **more):
    policy = Scripted(*decisions)
    return simulate(policy, conditions_of(slots=slots), PROFILE, SETTINGS, **more), policy


def test_a_policy_sees_what_the_controller_would_show_it():
    run, policy = played(LOCAL, slots=20)
    assert [f.slot for f in policy.forecasts] == list(range(20))
    assert len(policy.states) == 21  # one before the first slot
    assert policy.states[0].processed == ()
    assert all(f.operating_points for f in policy.forecasts)
    later = policy.states[1:]
    assert run.arrival_fps.tolist() == [s.arrival_fps for s in later]
    assert run.cost.tolist() == [s.cost for s in later]
    assert run.constraint.tolist() == [s.constraint for s in later]
    assert run.temperature_c.tolist() == [s.gpu_temperature_c for s in later]
    assert np.all(run.multiplier == 0.5)
    assert np.all(run.decision_s > 0.0)


def test_the_books_of_a_run_balance():
    run, _ = played(LOCAL, EDGE)
    assert run.processed_fps + run.dropped_fps == pytest.approx(run.arrival_fps)
    assert run.energy_j == pytest.approx(run.power_w * run.slot_s)
    accuracy_map = next(
        p.accuracy_map for p in PROFILE.points if (p.model, p.input_size_px) == ('yolov8n', 480)
    )
    assert run.accuracy_sum == pytest.approx(accuracy_map * run.processed_fps)
    assert run.latency_frames.sum() * 1.0 == pytest.approx(run.processed_fps.sum())


def test_a_switch_is_another_configuration_place_or_clock():
    faster = dataclasses.replace(LOCAL, gpu_frequency_hz=1020e6)
    other = decision_of(Allocation('yolov8n', 640, Origin.LOCAL, 10.0))
    more = decision_of(Allocation('yolov8n', 480, Origin.LOCAL, 11.0))
    for second, switches in ((LOCAL, 0), (more, 0), (faster, 1), (other, 1)):
        run, _ = played(LOCAL, LOCAL, second, second, slots=4)
        assert run.switched.tolist() == [False, False, bool(switches), False]


def test_progress_is_told_to_the_end():
    told = []
    played(LOCAL, slots=450, progress=told.append)
    assert told == [200, 400, 450]


@pytest.mark.parametrize('policy', ['fixed', 'visionscaling'])
@pytest.mark.parametrize('scenario', ['nominal', 'thermal_throttling', 'outages'])
def test_the_same_seed_gives_the_same_bits(policy, scenario):
    first, again, other = (
        simulate(make_policy(policy, SETTINGS), conditions_of(scenario, seed=s), PROFILE, SETTINGS)
        for s in (1, 1, 2)
    )
    arrays = {f.name for f in dataclasses.fields(Run)} - {'decision_s'}
    for name in arrays:
        one, two = getattr(first, name), getattr(again, name)
        assert np.asarray(one).tobytes() == np.asarray(two).tobytes(), name
    assert first.arrival_fps.tobytes() != other.arrival_fps.tobytes()


@pytest.mark.parametrize('scenario', SCENARIOS)
@pytest.mark.parametrize('name', PROFILE_NAMES)
def test_every_scenario_on_every_device_gives_a_row_without_gaps(scenario, name):
    profile = load_profile(name)
    settings = ControlSettings(
        accuracy_target_map=profile.accuracy_target_map, full_rate_fps=profile.full_rate_fps
    )
    conditions = conditions_of(scenario, profile=profile)
    run = simulate(make_policy('fixed', settings), conditions, profile, settings)
    row = summarize(run, np.zeros(60), settings.accuracy_target_map)
    figures = dataclasses.asdict(row)
    assert (row.trace, row.scenario, row.policy, row.seed) == ('synthetic', scenario, 'fixed', 1)
    assert all(math.isfinite(value) for value in figures.values() if not isinstance(value, str))
    assert json.loads(json.dumps(figures)) == figures
    assert row.processed_fps * 60 + row.dropped == pytest.approx(run.arrival_fps.sum(), abs=1.0)


def run_of(**changes):
    run, _ = played(LOCAL, slots=4)
    return dataclasses.replace(run, **{name: np.array(v) for name, v in changes.items()})


def test_the_row_is_what_the_issue_defines():
    run = run_of(
        cost=[1.0, 2.0, 3.0, 4.0],
        constraint=[0.5, -1.0, 0.75, 0.25],
        energy_j=[10.0, 10.0, 20.0, 20.0],
        processed_fps=[0.0, 10.0, 10.0, 20.0],
        accuracy_sum=[0.0, 4.0, 4.0, 9.0],
        dropped_fps=[1.4, 0.0, 0.0, 0.3],
        switched=[False, True, False, True],
        decision_s=[1e-3, 2e-3, 3e-3, 4e-3],
        latency_s=[0.3, 0.1, 0.2],
        latency_frames=[1.0, 18.0, 1.0],
    )
    row = summarize(run, np.array([1.0, 1.0, 2.0, 5.0]), 0.42)
    assert row.dynamic_regret == pytest.approx(1.0)
    assert row.fit == pytest.approx(0.5)
    assert row.violation == pytest.approx(1.5)
    assert row.energy_j_per_frame == pytest.approx(1.5)
    assert row.processed_fps == pytest.approx(10.0)
    assert row.map == pytest.approx(17.0 / 40.0)
    assert row.map_target == 0.42
    assert row.latency_p95_s == 0.2
    assert row.dropped == 2
    assert row.switches == 2
    assert row.decision_s_median == pytest.approx(2.5e-3)
    assert row.decision_s_p99 == pytest.approx(3.97e-3)
    assert cumulative_regret(run, np.array([1.0, 1.0, 2.0, 5.0])).tolist() == [0.0, 1.0, 2.0, 1.0]
    assert cumulative_fit(run).tolist() == [0.5, 0.0, 0.25, 0.5]


def test_a_run_that_processed_nothing_has_no_energy_per_frame():
    run, _ = played(decision_of(), slots=4)
    row = summarize(run, np.zeros(4), 0.42)
    assert math.isnan(row.energy_j_per_frame)
    assert math.isnan(row.map)
    assert math.isnan(row.latency_p95_s)
    assert row.processed_fps == row.fit == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(1, 9)), min_size=1, max_size=30),
       st.floats(0.01, 0.99))  # fmt: skip
def test_a_weighted_quantile_is_the_quantile_of_what_the_weights_stand_for(items, quantile):
    values = np.array([value for value, _ in items])
    weights = np.array([float(weight) for _, weight in items])
    found = weighted_quantile(values, weights, quantile)
    spread_out = np.repeat(values, weights.astype(int))
    assert np.mean(spread_out <= found) >= quantile - 1e-9
    assert np.mean(spread_out < found) <= quantile + 1e-9
