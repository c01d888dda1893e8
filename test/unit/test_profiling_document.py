"""A profile written down says what was put in, and is read by whoever reads profiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.profiling.fitted_device import (
    fit_device_power,
    fit_points,
    upload_bits_by_size,
)
from visionscaling_ros.profiling.journal import Record
from visionscaling_ros.profiling.profile_document import (
    Setting,
    document_text,
    profile_document,
)
from visionscaling_ros.profiling.profile_plots import economical, pareto_front, plot_profile
from visionscaling_ros.profiling.report import print_profile
from visionscaling_ros.profiling.schedule import Candidate, IdleVisit, JpegVisit, Plan
from visionscaling_ros.profiling.summary import JpegFigures, Spread, summarize
from visionscaling_ros.simulation.profile import load_profile

LEVELS_HZ = (0.3e9, 0.6e9, 0.9e9, 1.2e9)
ALPHA, BETA = 2.5, 1.5
KAPPA = {('n', 192): 0.004, ('n', 320): 0.009, ('s', 192): 0.012, ('s', 320): 0.03}
SERIAL_S = 0.0025
ACCURACY = {('n', 192): 0.2, ('n', 320): 0.3, ('s', 192): 0.28, ('s', 320): 0.45}
SLOWER = {'torch': 1.0, 'onnxruntime': 1.3, 'openvino': 0.8}


def candidates(engines=('torch', 'onnxruntime')):
    return tuple(Candidate(*key, engine) for key in KAPPA for engine in engines)


def figures(visit, round_number, rng):
    if isinstance(visit, JpegVisit):
        size_bytes = 40.0 * visit.input_size_px * (2.0 if visit.frames == 'own' else 1.0)
        return {'size_bytes': (size_bytes,), 'encode_s': (0.001,)}
    power_w = BETA
    if isinstance(visit, IdleVisit):
        return {'energy_j': (power_w * 0.1,), 'duration_s': (0.1,), 'busy_s': (0.0,)}
    candidate, ghz = visit.candidate, visit.frequency_hz * 1e-9
    kappa = KAPPA[candidate.model, candidate.input_size_px] * SLOWER[candidate.engine]
    network_s = kappa / ghz * (1.0 + rng.uniform(-0.01, 0.01, 3))
    busy_s = float(network_s.sum()) + 3 * SERIAL_S
    duration_s = busy_s / 0.95
    energy_j = BETA * duration_s + ALPHA * ghz**3 * busy_s
    counted = candidate.engine == 'torch' and round_number == 0 and candidate.model == 'n'
    work = {'gflops': (100.0 * KAPPA['n', candidate.input_size_px],)} if counted else {}
    return {
        **work, 'network_s': tuple(network_s), 'serial_s': (SERIAL_S,) * 3,
        'energy_j': (energy_j,), 'duration_s': (duration_s,), 'busy_s': (busy_s,),
    }  # fmt: skip


def measured(levels_hz=LEVELS_HZ, engines=('torch', 'onnxruntime'), frames=('street',), rounds=3):
    plan = Plan(candidates(engines), levels_hz, frames, 0, rounds)
    rng = np.random.default_rng(0)
    records = {t.number: Record(t.number, 0.1, figures(t.visit, t.round, rng))
               for t in plan.turns()}  # fmt: skip
    return summarize(plan, records)


def setting(**changes):
    base = Setting(
        name='mine', like=load_profile('tx2'), environment={'processor': 'a CPU', 'threads': 1},
        levels_hz=(*LEVELS_HZ, 1.3005e9), clock_backend='emulated', meter='ina3221',
        frames={'street': '12 frames, CRC 0'}, jpeg_quality=80, accuracy_target_map=None,
    )  # fmt: skip
    return replace(base, **changes)


def document_of(summary, **changes):
    return profile_document(
        setting(**changes), summary, fit_points(summary), fit_device_power(summary),
        lambda model, size_px: ACCURACY[model, size_px],
    )  # fmt: skip


@pytest.fixture(scope='module')
def summary():
    return measured()


@pytest.fixture
def loaded(tmp_path, summary):
    path = tmp_path / 'mine.yaml'
    path.write_text(document_text(document_of(summary)))
    return load_profile(path)


def test_a_profile_holds_what_was_measured(loaded):
    assert [(p.model, p.input_size_px) for p in loaded.points] == list(KAPPA)
    for point in loaded.points:
        key = (point.model, point.input_size_px)
        assert point.gpu_work_ghz_s == pytest.approx(KAPPA[key], rel=0.02)
        assert point.serial_s == pytest.approx(SERIAL_S, rel=0.05)
        assert point.accuracy_map == ACCURACY[key]
        assert point.upload_bits == 8 * 40 * point.input_size_px
    assert loaded.device.alpha_w_per_ghz3 == pytest.approx(ALPHA, rel=1e-4)
    assert loaded.device.beta_w == pytest.approx(BETA, rel=1e-4)
    assert loaded.device.available_frequencies_hz == pytest.approx([*LEVELS_HZ, 1.3005e9])
    assert loaded.accuracy_target_map == pytest.approx(0.29)


def test_frames_that_others_took_time_from_do_not_move_the_fits():
    rng = np.random.default_rng(1)
    plan = Plan(candidates(('torch',)), LEVELS_HZ, ('street',), 0, 8)
    records = {}
    for turn in plan.turns():
        content = figures(turn.visit, turn.round, rng)
        for name in {'network_s', 'serial_s'} & set(content):  # more than half of the frames
            factors = np.where(rng.uniform(size=3) < 0.6, rng.uniform(1.5, 8.0, 3), 1.0)
            content[name] = tuple(np.array(content[name]) * factors)
        records[turn.number] = Record(turn.number, 0.1, content)
    for point in fit_points(summarize(plan, records)):
        key = (point.candidate.model, point.candidate.input_size_px)
        for level_hz in LEVELS_HZ:
            exact_s = KAPPA[key] / (level_hz * 1e-9) + SERIAL_S
            assert point.fit.latency_s(level_hz) == pytest.approx(exact_s, rel=0.1)


def test_what_cannot_be_measured_is_that_of_the_profile_named(loaded):
    like = load_profile('tx2')
    assert loaded.thermal == like.thermal
    assert (loaded.arrival_fps, loaded.full_rate_fps) == (like.arrival_fps, like.full_rate_fps)
    for name in ('base_w', 'radio_fixed_w', 'radio_w_per_mbps', 'radio_tail_s'):
        assert getattr(loaded.device, name) == getattr(like.device, name)
    assert any('profile tx2' in source for source in loaded.sources)


def test_the_fastest_engine_is_read_back_per_point(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(document_text(document_of(measured(engines=tuple(SLOWER)))))
    profile = load_profile(path)
    assert profile.engine_of('n') == {192: 'openvino', 320: 'openvino'}
    assert profile.engine_of('unknown') == {}
    assert load_profile('tx2').engine_of('yolov4') == {}


def test_work_that_could_not_be_counted_follows_the_speed_of_the_rest(summary):
    for point in fit_points(summary):
        assert point.counted == (point.candidate.model == 'n')
        exact = 100.0 * KAPPA[point.candidate.model, point.candidate.input_size_px]
        assert point.gflops == pytest.approx(exact, rel=0.02)
        assert point.server_time_s == pytest.approx(3.21e-3 + 0.0443e-3 * exact, rel=0.02)


def test_a_picture_without_counted_work_says_so(tmp_path):
    document = document_of(measured(engines=('onnxruntime',)))
    assert any('GFLOP of 4 of 4 points' in source for source in document['sources'])
    plot_profile(tmp_path / 'mine.png', document)
    assert (tmp_path / 'mine.png').stat().st_size > 10_000


def test_one_clock_splits_by_stage_and_says_so(tmp_path):
    one = measured(levels_hz=(1e9,))
    document = document_of(one, levels_hz=(1e9,), clock_backend='none')
    path = tmp_path / 'mine.yaml'
    path.write_text(document_text(document))
    profile = load_profile(path)
    for point in profile.points:
        key = (point.model, point.input_size_px)
        assert point.gpu_work_ghz_s == pytest.approx(KAPPA[key], rel=0.02)
        assert point.serial_s == pytest.approx(SERIAL_S)
    assert any('4 of 4 points were not fitted' in source for source in profile.sources)
    assert any('the clock is not known: 1000 MHz' in source for source in profile.sources)
    assert {item['fitted_over'] for item in document['measurements']['points']} == {'one clock'}


def test_power_by_model_is_never_said_to_be_measured(summary):
    by_model = ' '.join(document_of(summary, meter='model')['sources'])
    assert 'a model, not a measurement' in by_model
    measured_power = ' '.join(document_of(summary)['sources'])
    assert 'with ina3221 - alpha_w_per_ghz3 and beta_w, fitted' in measured_power


def test_an_emulated_clock_is_said_to_be_one(summary):
    assert 'the clock is emulated' in ' '.join(document_of(summary)['sources'])
    real = ' '.join(document_of(summary, clock_backend='jetson')['sources'])
    assert 'emulated' not in real


def test_without_power_at_two_loads_the_model_is_kept(summary):
    idle_only = replace(summary, points=(), idle=summary.idle)
    assert fit_device_power(idle_only) is None
    document = profile_document(
        setting(), summary, fit_points(summary), None, lambda *key: ACCURACY[key]
    )
    assert document['device']['alpha_w_per_ghz3'] == load_profile('tx2').device.alpha_w_per_ghz3
    assert document['measurements']['power_fit_r2'] is None


def test_measurements_hold_medians_spread_and_counts_of_every_engine_and_clock(summary):
    text = document_text(document_of(summary))
    content = yaml.safe_load(text)['measurements']
    assert len(content['medians']) == len(KAPPA) * 2 * len(LEVELS_HZ)
    for item in content['medians']:
        assert item['latency_p10_s'] <= item['latency_s'] <= item['latency_p90_s']
        assert item['samples'] == 3 * item['rounds']
        assert item['utilization'] == pytest.approx(0.95)
    assert all(item['r2'] > 0.99 for item in content['points'])
    assert content['power_fit_r2'] == pytest.approx(1.0)
    assert len(content['idle']) == len(LEVELS_HZ)
    assert max(map(len, text.splitlines())) < 400


def test_uploads_are_those_of_the_users_own_frames_where_there_are_some():
    spread = Spread.of([1000.0])
    own = Spread.of([4000.0])
    jpegs = [JpegFigures(192, 'own', own, spread), JpegFigures(192, 'street', spread, spread),
             JpegFigures(320, 'street', own, spread)]  # fmt: skip
    assert upload_bits_by_size(jpegs) == {192: 32000.0, 320: 32000.0}
    sources = document_of(measured(frames=('street', 'own')), frames={'street': '', 'own': ''})
    assert any("the user's own frames" in source for source in sources['sources'])


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ([], 'measurements = '),
        ({}, 'measurements.points = None'),
        ({'points': []}, r'measurements.points = \[\]'),
        ({'points': ['n']}, r"measurements.points\[0\] = 'n'"),
        ({'points': [{'model': 'n', 'input_size_px': 192}]}, r'points\[0\].engine = None'),
        ({'points': [{'model': 'n', 'input_size_px': 'x', 'engine': 'torch'}]}, 'input_size_px'),
    ],
)
def test_measurements_that_name_no_engines_are_refused(tmp_path, summary, content, says):
    path = tmp_path / 'mine.yaml'
    path.write_text(document_text({**document_of(summary), 'measurements': content}))
    with pytest.raises(InvalidValueError, match=says):
        load_profile(path)


def test_the_picture_is_a_whole_png_and_replaces_the_old_one(tmp_path, summary):
    path = tmp_path / 'new' / 'mine.png'
    for _ in range(2):
        plot_profile(path, document_of(summary))
    assert path.read_bytes().startswith(b'\x89PNG')
    assert [p.name for p in path.parent.iterdir()] == ['mine.png']


def test_a_picture_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path, summary):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InvalidValueError, match='plot = '):
        plot_profile(tmp_path / 'file' / 'mine.png', document_of(summary))


def test_the_table_names_every_point(summary, capsys):
    print_profile(document_of(summary))
    out = capsys.readouterr().out
    for model, size_px in KAPPA:
        assert any(model in line and str(size_px) in line for line in out.splitlines())
    assert 'GPU power by ina3221: 2.5 f^3 + 1.5 W' in out


@given(st.floats(1e-4, 0.1), st.floats(0.0, 0.1))
def test_no_level_takes_less_energy_than_the_economical_one(work, serial_s):
    device = {'available_frequencies_mhz': [306, 612, 918, 1300.5], 'alpha_w_per_ghz3': 1.5,
              'beta_w': 3.0, 'base_w': 6.0}  # fmt: skip
    energy_j, clock_mhz = economical(device, {'gpu_work_ghz_s': work, 'serial_s': serial_s})
    assert clock_mhz in device['available_frequencies_mhz']
    for mhz in device['available_frequencies_mhz']:
        ghz = mhz * 1e-3
        at_level_j = (9.0 + 1.5 * ghz**3) * (work / ghz + serial_s)
        assert energy_j <= at_level_j * (1.0 + 1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_everything_off_the_front_is_beaten_by_something_on_it(places):
    front = pareto_front(places)
    on_front = [places[k] for k in front]
    assert [cost for cost, _ in on_front] == sorted(cost for cost, _ in on_front)
    for cost, worth in places:
        assert any(c <= cost and w >= worth for c, w in on_front)
    for k, (cost, worth) in enumerate(on_front):
        assert not any(
            c <= cost and w >= worth for j, (c, w) in enumerate(on_front) if j != k
        )
