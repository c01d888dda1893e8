"""A model of a recorded run: what it foretells, and that it tells how wrong it is."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_bags import write_run

from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotState
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.json_file import json_text
from visionscaling_ros.review.recorded_run import RecordedRun, read_runs
from visionscaling_ros.review.whatif.document import what_if_document
from visionscaling_ros.review.whatif.figures import figures_of
from visionscaling_ros.review.whatif.latency_fit import fit_latency
from visionscaling_ros.review.whatif.model_error import kinds_run, left_out_error, stretches
from visionscaling_ros.review.whatif.power_fit import fit_power
from visionscaling_ros.review.whatif.run_conditions import RunConditions, points_by_slot
from visionscaling_ros.review.whatif.run_model import fit_model
from visionscaling_ros.review.whatif.run_slots import RunSlots, run_slots
from visionscaling_ros.review.whatif.thermal_fit import fit_heat
from visionscaling_ros.review.whatif.trust import NO_UPLINK, UNKNOWN
from visionscaling_ros.review.whatif.what_if import what_if
from visionscaling_ros.simulation.profile import load_profile

META, SLOTS = 'visionscaling_meta', 80
PROFILE = load_profile('agx_orin')


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bags')

    @functools.cache
    def run_of(policy: str, scenario: str) -> RunSlots:
        path = Path(folder) / f'{policy}-{scenario}'
        write_run(path, slots=SLOTS, policy=policy, scenario=scenario, seed=1)
        return run_slots(read_runs(path)[0])

    return lambda policy=META, scenario='nominal': run_of(policy, scenario)


def changed(slots: RunSlots, change) -> RunSlots:
    """Its states, each as ``change(number, state)`` has it."""
    states = tuple(change(t, state) for t, state in enumerate(slots.states))
    return dataclasses.replace(slots, states=states)


def every(slots: RunSlots) -> np.ndarray:
    return np.ones(len(slots), np.bool_)


def measured_figures(slots: RunSlots):
    return figures_of(slots.measured(slots.settings), np.zeros(len(slots)))


# ---- what it foretells


@pytest.mark.parametrize('scenario', ['nominal', 'outages', 'server_contention'])
@pytest.mark.parametrize('policy', ['fixed', 'autoscale', 'visionscaling'])
def test_what_another_policy_really_did_in_the_same_world_is_foretold(recorded, policy, scenario):
    """The world's hidden biases are the same; only the bag of the other policy is read."""
    slots, truly = recorded(META, scenario), measured_figures(recorded(policy, scenario))
    played = fit_model(slots, every(slots)).play(policy, slots.settings)
    told = figures_of(played.series, np.zeros(len(slots)))
    assert told.power_w == pytest.approx(truly.power_w, rel=0.03)
    assert told.map == pytest.approx(truly.map, rel=0.02)
    assert told.processed_fps == pytest.approx(truly.processed_fps, rel=0.15)
    assert told.energy_j_per_frame == pytest.approx(truly.energy_j_per_frame, rel=0.15)


def test_the_hidden_biases_are_found(recorded):
    slots = recorded('visionscaling', 'nominal')
    model = fit_model(slots, every(slots))
    played = figures_of(model.play_recorded(slots.settings).series, np.zeros(len(slots)))
    truly = measured_figures(slots)
    assert played.power_w == pytest.approx(truly.power_w, rel=1e-3)
    assert played.processed_fps == pytest.approx(truly.processed_fps, rel=1e-3)
    assert played.latency_local_mean_s == pytest.approx(truly.latency_local_mean_s, rel=0.02)


@given(factor=st.floats(0.5, 2.0), offset_w=st.floats(-2.0, 4.0))
@settings(max_examples=25, deadline=None)
def test_power_is_fitted_to_what_was_measured(factor, offset_w):
    rng = np.random.default_rng(0)
    device = PROFILE.device
    states = []
    for _ in range(60):
        busy, clock_hz = rng.uniform(0.1, 1.0), rng.choice(device.clock_levels_hz)
        power_w = device.base_w + device.beta_w + offset_w
        power_w += factor * busy * device.gpu_dynamic_power_w(clock_hz)
        states.append(SlotState(0, 1.0, power_w=power_w, gpu_utilization=busy,
                                gpu_frequency_hz=clock_hz))  # fmt: skip
    found, found_w = fit_power(states, device, np.ones(60, np.bool_), 1.0)
    assert found == pytest.approx(factor, abs=0.05)
    assert found_w == pytest.approx(offset_w, abs=0.15)


@pytest.mark.parametrize('slowdown', [0.0, 0.8])
def test_a_server_on_the_same_machine_is_told_from_a_slow_robot(slowdown):
    rng = np.random.default_rng(1)
    point = OperatingPoint('m', 320, 0.5, 0.02, 0.005, 1e5, 0.03)
    states = []
    for _ in range(80):
        edge_fps, local_fps = rng.choice([0.0, 10.0, 20.0]), rng.uniform(5.0, 15.0)
        busy = 1.3 * math.exp(slowdown * 0.03 * edge_fps) * local_fps * point.local_latency_s(1e9)
        ran = (Allocation('m', 320, Origin.LOCAL, local_fps),
               Allocation('m', 320, Origin.EDGE, edge_fps))  # fmt: skip
        states.append(SlotState(0, 1.0, gpu_utilization=min(busy, 1.0), gpu_frequency_hz=1e9,
                                processed=ran, operating_points=(point,)))  # fmt: skip
    fit = fit_latency(states, [(point,)] * 80, np.ones(80, np.bool_))
    assert fit.slowdown == pytest.approx(slowdown, abs=0.05)
    assert np.allclose(fit.factor * fit.bias[0], 1.3, rtol=0.05)


def test_a_thermal_model_is_fitted_where_the_temperatures_tell_one():
    power_w, all_400 = np.where(np.arange(400) // 60 % 2, 25.0, 10.0), np.ones(400, np.bool_)
    temperature_c = [40.0]
    kept = math.exp(-1.0 / 40.0)
    for watt in power_w[1:]:
        end_c = 20.0 + 1.5 * watt
        temperature_c.append(end_c + (temperature_c[-1] - end_c) * kept)
    heat = fit_heat(np.array(temperature_c), power_w, 1.0, all_400)
    assert heat is not None
    assert heat.thermal.resistance_c_per_w == pytest.approx(1.5, rel=0.01)
    assert heat.thermal.time_constant_s == pytest.approx(40.0, rel=0.02)
    assert heat.ambient_c == pytest.approx(20.0, abs=0.5)
    noise = np.random.default_rng(0).normal(40.0, 4.0, 400)
    assert fit_heat(noise, power_w, 1.0, all_400) is None
    assert fit_heat(np.full(400, 40.0), power_w, 1.0, all_400) is None
    assert fit_heat(np.full(400, np.nan), power_w, 1.0, all_400) is None


# ---- that it tells how wrong it is


def test_slots_left_out_have_no_say_in_the_model(recorded):
    """Whatever came of the decisions in them."""
    slots = recorded()
    kept = every(slots)
    kept[30:50] = False

    def spoilt(t: int, state: SlotState) -> SlotState:
        if kept[t]:
            return state
        return dataclasses.replace(
            state, power_w=99.0, energy_j=99.0, gpu_utilization=0.9, latency_local_mean_s=9.0,
            latency_local_p95_s=9.0, latency_edge_mean_s=9.0, latency_edge_p95_s=9.0,
            processed_local_fps=0.1, processed_edge_fps=0.1, operating_points=(), processed=(),
        )  # fmt: skip

    one, other = fit_model(slots, kept), fit_model(changed(slots, spoilt), kept)
    assert one.scale == other.scale
    assert one.profile == other.profile
    for name, value in vars(one.conditions).items():
        assert np.array_equal(value, getattr(other.conditions, name)), name


def test_a_run_the_model_is_right_about_has_a_small_error(recorded):
    slots = recorded()
    error = left_out_error(
        slots, slots.settings, stretches(every(slots)), np.zeros(len(slots)), of='', seed=0,
        among=every(slots),
    )  # fmt: skip
    for name in ('power_w', 'processed_fps', 'map', 'energy_j_per_frame'):
        assert abs(error.by_metric[name].bias_percent) < 1.0
        assert error.by_metric[name].slot_percent < 2.0


def test_what_changes_from_stretch_to_stretch_is_uncertain(recorded):
    """A meter that reads half as much more in every other stretch."""
    slots = recorded()
    parts = stretches(every(slots))
    odd = np.logical_or.reduce(parts[1::2])
    twisted = changed(
        slots,
        lambda t, s: dataclasses.replace(s, power_w=s.power_w * (1.5 if odd[t] else 1.0)),
    )
    none = np.zeros(len(slots))
    error, before = (
        left_out_error(s, s.settings, parts, none, of='', seed=0, among=every(s))
        for s in (twisted, slots)
    )
    assert error.by_metric['power_w'].slot_percent > 15.0
    assert error.by_metric['power_w'].uncertainty > 1.0
    assert before.by_metric['power_w'].uncertainty < 0.1


def test_an_error_is_of_the_slots_left_out_and_no_others(recorded):
    slots = recorded()
    first = np.arange(len(slots)) < 20
    twisted = changed(
        slots, lambda t, s: s if first[t] else dataclasses.replace(s, power_w=2.0 * s.power_w)
    )
    none = np.zeros(len(slots))
    error = left_out_error(
        twisted, slots.settings, [first], none, of='', seed=0, among=every(slots)
    )
    assert error.measured.slots == 20
    assert error.by_metric['power_w'].bias_percent > 30.0


def test_differences_within_the_error_are_not_told_apart(recorded):
    slots = recorded()
    answer = what_if(slots, [META, 'fixed'], slots.settings)
    assert [row.policy for row in answer.rows] == ['measured', 'recorded', META, 'fixed']
    own, fixed = answer.rows[2:]
    assert {'power_w', 'processed_fps', 'map', 'energy_j'} <= own.like_recorded
    assert not {'power_w', 'processed_fps', 'map'} & fixed.like_recorded
    assert own.known_share > 0.9
    assert fixed.known_share < 0.1


def test_the_same_seed_gives_the_same_table(recorded):
    texts = [
        json_text(what_if_document('bag', [what_if(slots, [META], slots.settings, seed=3)], 3))
        for slots in (recorded(), recorded())
    ]
    assert texts[0] == texts[1]


@given(among=st.lists(st.booleans(), min_size=10, max_size=300).filter(lambda m: sum(m) >= 10))
def test_stretches_part_the_slots(among):
    masks = stretches(np.array(among))
    assert np.array_equal(np.sum(masks, axis=0), np.array(among, int))
    assert all(mask.any() for mask in masks)


def test_configurations_that_ran_too_seldom_are_not_left_out(recorded):
    slots = recorded()
    first = np.arange(len(slots)) < 50
    for among in (every(slots), first):
        for mask in kinds_run(slots.states, among):
            assert mask.sum() >= 5
            assert (among & ~mask).sum() >= 10
            assert not np.any(mask & ~among)
    assert kinds_run(recorded('fixed').states, every(slots)) == []


def test_what_was_learned_in_slots_left_out_is_not_known_in_them():
    """A robot learns while it runs: of frames of a configuration left out, and of no other."""
    states, kept = [], []
    for t in range(6):
        points = tuple(
            OperatingPoint(name, 320, 0.5, 0.01 * (t + 1), 0.0, 1e5 + t, 0.02 * (t + 1))
            for name in ('own', 'other')
        )
        kept.append(t not in (2, 4))
        ran = Allocation('other' if kept[t] else 'own', 320, Origin.LOCAL, 5.0)
        states.append(SlotState(t, 1.0, operating_points=points, processed=(ran,)))
    told = points_by_slot(states, np.array(kept), states[0].operating_points, 1e9)
    other, own = (
        [next(p.gpu_work_ghz_s for p in of_slot if p.model == name) for of_slot in told]
        for name in ('other', 'own')
    )
    assert other == pytest.approx([0.01, 0.02, 0.02, 0.04, 0.04, 0.06])
    assert own == pytest.approx([0.01, 0.02, 0.02, 0.04, 0.02, 0.06])
    assert next(p.server_time_s for p in told[4] if p.model == 'own') == pytest.approx(0.08)


def test_a_server_time_never_learned_is_as_those_that_were():
    points = (
        OperatingPoint('known', 320, 0.5, 0.01, 0.0, 1e5, 0.03),
        OperatingPoint('unknown', 320, 0.5, 0.02, 0.0, 1e5, 0.0),
    )
    states = [SlotState(0, 1.0, operating_points=points)]
    ((_, unknown),) = points_by_slot(states, np.ones(1, np.bool_), points, 1e9)
    assert unknown.server_time_s == pytest.approx(0.06)


# ---- odd runs


def test_a_short_run_says_so(tmp_path):
    write_run(tmp_path / 'bag', slots=8)
    with pytest.raises(VisionScalingError, match=r'7 decided slots.*record for longer'):
        run_slots(read_runs(tmp_path / 'bag')[0])


def test_a_run_without_frames_says_so(recorded):
    run = recorded().run
    silent = [
        dataclasses.replace(slot, state=dataclasses.replace(slot.state, arrival_fps=0.0))
        for slot in run.slots
    ]
    with pytest.raises(VisionScalingError, match='no frame arrived'):
        run_slots(dataclasses.replace(run, slots=tuple(silent)))


def test_without_an_edge_nothing_is_offloaded(recorded):
    slots = changed(
        recorded(), lambda _, s: dataclasses.replace(s, edge_reachable=False, processed_edge_fps=0)
    )
    answer = what_if(slots, [META, 'edge_only'], slots.settings)
    assert any('the edge never answered' in words for words in answer.limits)
    assert answer.rows[2].figures.latency_edge_mean_s != answer.rows[2].figures.latency_edge_mean_s


def test_who_offloads_over_an_uplink_never_measured_is_doubted(recorded):
    slots = recorded('fixed')
    answer = what_if(slots, ['fixed', 'edge_only'], slots.settings)
    assert any('its uplink is unknown' in words for words in answer.limits)
    assert [row.doubt for row in answer.rows[2:]] == ['', NO_UPLINK]


def test_power_that_was_never_measured_is_that_of_the_model_told(recorded):
    slots = changed(
        recorded(), lambda _, s: dataclasses.replace(s, power_w=math.nan, energy_j=math.nan)
    )
    answer = what_if(slots, [META], slots.settings)
    assert any('power was never measured' in words for words in answer.limits)
    assert math.isnan(answer.rows[0].figures.power_w)
    assert answer.rows[2].figures.power_w > 0.0
    assert 'power_w' not in answer.rows[2].like_recorded


def test_configurations_a_run_tells_nothing_of_are_doubted(recorded):
    """It kept to one, so nobody knows how wrong the model is about others."""
    slots = changed(
        recorded('fixed'), lambda _, s: dataclasses.replace(s, edge_reachable=False)
    )
    answer = what_if(slots, ['fixed', 'visionscaling'], slots.settings)
    assert answer.trust.elsewhere is None
    assert [row.doubt for row in answer.rows[2:]] == ['', UNKNOWN]


@pytest.mark.parametrize(
    'asked', [{'allowed_models': ('yolov8n',)}, {'allow_edge': False}, {'min_processed_fps': 19.0}]
)
def test_the_best_of_a_slot_is_within_the_limits_set(recorded, asked):
    slots = recorded()
    model = fit_model(slots, every(slots))
    free = model.least_cost(slots.settings)
    limited = model.least_cost(dataclasses.replace(slots.settings, **asked))
    assert np.all(limited >= free - 1e-9)
    assert limited.sum() > free.sum() + 1e-3


NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.0, 60.0))
POINTS = st.builds(
    OperatingPoint, st.sampled_from('ab'), st.sampled_from([320, 480]), NUMBERS, NUMBERS, NUMBERS,
    NUMBERS, NUMBERS,
)  # fmt: skip
STATES = st.builds(
    SlotState,
    slot=st.integers(0, 9),
    duration_s=st.just(1.0),
    arrival_fps=NUMBERS,
    uplink_capacity_bps=NUMBERS,
    uplink_capacity_age_s=NUMBERS,
    uplink_throughput_bps=NUMBERS,
    rtt_s=NUMBERS,
    server_share=NUMBERS,
    gpu_utilization=NUMBERS,
    gpu_frequency_hz=NUMBERS,
    power_w=NUMBERS,
    edge_reachable=st.booleans(),
    operating_points=st.lists(POINTS, min_size=1, max_size=3).map(tuple),
    processed=st.lists(
        st.builds(Allocation, st.just('a'), st.just(320), st.sampled_from(Origin), NUMBERS),
        max_size=2,
    ).map(tuple),
)


@given(states=st.lists(STATES, min_size=1, max_size=6), data=st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_was_recorded_makes_conditions_that_make_sense(states, data):
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(states), max_size=len(states))))
    kept[0] = True
    met = RunConditions.of(states)
    for name in ('arrival_fps', 'capacity_bps', 'server_share', 'rtt_s'):
        values = getattr(met, name)
        assert np.all(np.isfinite(values) & (values >= 0.0)), name
    points = points_by_slot(states, kept, states[0].operating_points, 1e9)
    assert len(points) == len(states)
    assert len({tuple((p.model, p.input_size_px) for p in of_slot) for of_slot in points}) == 1
    fit = fit_latency(states, points, kept)
    assert np.all(np.isfinite(fit.factor) & (fit.factor > 0.0))
    assert np.all(np.isfinite(fit.bias) & (fit.bias > 0.0))
    assert 0.0 <= fit.slowdown < math.inf
    assert all(map(math.isfinite, fit_power(states, PROFILE.device, kept, 1.0)))


def test_only_decided_slots_count(recorded):
    run: RecordedRun = recorded().run
    assert len(recorded()) == len(run.slots) - 1
    assert all(slot.decision is not None for slot in run.slots[1:])
