"""Device profiles: what is shipped agrees with its sources, and YAML of one's own is checked."""

from __future__ import annotations

import copy
import math

import pytest
import yaml

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.profile import FOLDER, PROFILE_NAMES, load_profile

YOLOV8 = {'yolov8n': (0.373, 8.7), 'yolov8s': (0.449, 28.6), 'yolov8m': (0.502, 78.9),
          'yolov8l': (0.529, 165.2)}  # fmt: skip
YOLO11 = {'yolo11n': (0.395, 6.5), 'yolo11s': (0.47, 21.5), 'yolo11m': (0.515, 68.0),
          'yolo11l': (0.534, 86.9)}  # fmt: skip
YOLOV4 = {320: (0.380, 35.5), 416: (0.412, 60.1), 512: (0.430, 91.1), 608: (0.435, 128.5)}


def yolov4_ap(size_px):
    return 0.4423 - 0.7727 * math.exp(-size_px / 127.2)


def of_size(ap_640, size_px):
    return ap_640 * yolov4_ap(size_px) / yolov4_ap(640)


def server_s(bflops):
    return 3.21e-3 + 0.0443e-3 * bflops


@pytest.mark.parametrize('name', PROFILE_NAMES)
def test_shipped_profiles_are_sane(name):
    profile = load_profile(name)
    assert profile.name == name
    assert 10 <= len(profile.points) <= 16
    accuracies = sorted(p.accuracy_map for p in profile.points)
    assert accuracies[0] < profile.accuracy_target_map < accuracies[-1]
    assert profile.accuracy_target_map not in accuracies
    assert len(profile.device.available_frequencies_hz) >= 8
    assert profile.device.radio_fixed_w > 0.0
    assert profile.arrival_fps <= profile.full_rate_fps
    assert any('assumption' in source for source in profile.sources)


@pytest.mark.parametrize('name', PROFILE_NAMES)
def test_the_target_can_be_met_on_the_robot_alone(name):
    profile = load_profile(name)
    top_hz = profile.device.clock_levels_hz[-1]
    meeting = [p for p in profile.points if p.accuracy_map >= profile.accuracy_target_map]
    fastest_fps = max(0.8 / p.local_latency_s(top_hz) for p in meeting)
    assert fastest_fps > 0.6 * profile.arrival_fps


@pytest.mark.parametrize('name', PROFILE_NAMES)
def test_larger_inputs_cost_more_and_see_more(name):
    points = load_profile(name).points
    pairs = [(p, q) for p in points for q in points
             if p.model == q.model and p.input_size_px < q.input_size_px]  # fmt: skip
    assert pairs
    for small, large in pairs:
        assert small.accuracy_map < large.accuracy_map
        assert small.gpu_work_ghz_s < large.gpu_work_ghz_s
        assert small.upload_bits < large.upload_bits
        assert small.server_time_s < large.server_time_s


@pytest.mark.parametrize('name', PROFILE_NAMES)
def test_the_server_is_much_faster_and_uploads_are_jpegs(name):
    profile = load_profile(name)
    top_hz = profile.device.clock_levels_hz[-1]
    for point in profile.points:
        assert point.server_time_s < point.local_latency_s(top_hz)
        assert point.upload_bits == pytest.approx(0.45e6 * (point.input_size_px / 640) ** 2)


def test_agx_orin_agrees_with_the_measurements():
    profile = load_profile('agx_orin')
    measured = {480: (5.97, 37.98), 640: (9.84, 36.04), 960: (13.74, 32.39)}
    for point in profile.points:
        ap_640, bflops = YOLOV8[point.model]
        work_ms, serial_ms = measured.get(point.input_size_px, (5.97 * (320 / 480) ** 2, 37.98))
        assert point.gpu_work_ghz_s * 1e3 == pytest.approx(work_ms * bflops / 8.7, abs=0.01)
        assert point.serial_s * 1e3 == pytest.approx(serial_ms)
        assert point.accuracy_map == pytest.approx(of_size(ap_640, point.input_size_px), abs=1e-4)
        at_size = bflops * (point.input_size_px / 640) ** 2
        assert point.server_time_s == pytest.approx(server_s(at_size), abs=1e-5)
    n640 = next(p for p in profile.points if p.model == 'yolov8n' and p.input_size_px == 640)
    for mhz, measured_ms in ((306, 72.1), (714, 47.9), (1300.5, 45.3)):
        assert n640.local_latency_s(mhz * 1e6) * 1e3 == pytest.approx(measured_ms, rel=0.08)
    device = profile.device
    for mhz, measured_w in ((306, 3.19), (816, 3.98), (1300.5, 6.45)):
        gpu_w = device.beta_w + device.gpu_dynamic_power_w(mhz * 1e6)
        assert gpu_w == pytest.approx(measured_w, rel=0.1)


def test_tx2_agrees_with_the_measurements_and_the_budgets():
    profile = load_profile('tx2')
    top_ghz = 1.3005
    for point in profile.points:
        bflops = 3.473e-4 * point.input_size_px**2
        ap, bflops = YOLOV4.get(point.input_size_px, (yolov4_ap(point.input_size_px), bflops))
        assert point.accuracy_map == pytest.approx(ap, abs=1e-4)
        assert point.gpu_work_ghz_s == pytest.approx(1.556e-3 * bflops * top_ghz, abs=1e-5)
        assert point.serial_s == pytest.approx(8.31e-3)
        assert point.server_time_s == pytest.approx(server_s(bflops), abs=1e-5)
    measured_fps = {320: 15.32, 416: 9.45, 512: 7.22, 608: 4.67}
    for point in profile.points:
        if point.input_size_px in measured_fps:
            rate_fps = 1.0 / point.local_latency_s(top_ghz * 1e9)
            assert rate_fps == pytest.approx(measured_fps[point.input_size_px], rel=0.13)
    for mhz, budget_w in ((854.25, 7.5), (1122.0, 15.0)):
        assert profile.device.power_w(mhz * 1e6, 1.0, 0.0) == pytest.approx(budget_w, rel=1e-3)


def test_orin_nano_agrees_with_the_measurements_and_the_budgets():
    profile = load_profile('orin_nano')
    measured_ms = {'yolo11n': 4.91, 'yolo11s': 7.30, 'yolo11m': 13.99, 'yolo11l': 17.57}
    for point in profile.points:
        ap_640, bflops = YOLO11[point.model]
        at_size = bflops * (point.input_size_px / 640) ** 2
        assert point.accuracy_map == pytest.approx(of_size(ap_640, point.input_size_px), abs=1e-4)
        assert point.gpu_work_ghz_s == pytest.approx(0.1542e-3 * at_size * 0.918, abs=1e-6)
        if point.input_size_px == 640:
            latency_ms = point.local_latency_s(918e6) * 1e3
            assert latency_ms == pytest.approx(measured_ms[point.model], rel=0.04)
    for mhz, budget_w in ((624.75, 15.0), (918.0, 25.0)):
        assert profile.device.power_w(mhz * 1e6, 1.0, 0.0) == pytest.approx(budget_w, rel=1e-3)


@pytest.fixture
def content():
    return yaml.safe_load((FOLDER / 'tx2.yaml').read_text())


def written(tmp_path, content):
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_file_of_ones_own_is_read(tmp_path, content):
    content['name'] = 'mine'
    content['arrival_fps'] = '2e1'  # YAML 1.1 reads a number like this as a text
    profile = load_profile(written(tmp_path, content))
    assert (profile.name, profile.arrival_fps) == ('mine', 20.0)
    assert profile.points == load_profile('tx2').points


def replaced(content, keys, value):
    changed = copy.deepcopy(content)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return changed


@pytest.mark.parametrize(
    ('keys', 'value', 'says'),
    [
        (('arrival_fps',), 0, 'arrival_fps = 0 is not allowed; allowed: a number, 0.1 to 1000'),
        (('arrival_fps',), 'many', "arrival_fps = 'many'"),
        (('arrival_fps',), math.nan, 'arrival_fps = nan'),
        (('arrival_fps',), True, 'arrival_fps = True'),
        (('accuracy_target_map',), 42, 'accuracy_target_map = 42'),
        (('device', 'alpha_w_per_ghz3'), -1.0, 'device.alpha_w_per_ghz3 = -1.0'),
        (('device', 'available_frequencies_mhz'), [], 'device.available_frequencies_mhz = []'),
        (('device', 'available_frequencies_mhz'), [0], 'available_frequencies_mhz[0] = 0'),
        (('device',), None, 'device = None'),
        (('thermal', 'release_c'), 95.0, 'thermal.release_c = 95.0'),
        (('thermal', 'wind'), 1.0, "thermal.key = 'wind'"),
        (('points',), [], 'points = []'),
        (('points', 2), 'yolo', "points[2] = 'yolo'"),
        (('points', 3, 'accuracy_map'), 38.0, 'points[3].accuracy_map = 38.0'),
        (('points', 3, 'input_size_px'), 1.5, 'points[3].input_size_px = 1.5'),
        (('points', 3, 'input_size_px'), 256, "points = ('yolov4', 256)"),
        (('points', 3, 'model'), '', "points[3].model = ''"),
        (('sources',), 'a book', "sources = 'a book'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_key_and_value(tmp_path, content, keys, value, says):
    path = written(tmp_path, replaced(content, keys, value))
    with pytest.raises(InvalidValueError) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert 'allowed: ' in str(caught.value)


def test_a_missing_key_is_named(tmp_path, content):
    del content['thermal']['time_constant_s']
    with pytest.raises(InvalidValueError, match=r'thermal\.time_constant_s = None'):
        load_profile(written(tmp_path, content))


def test_a_misspelt_key_is_guessed(tmp_path, content):
    content['thermals'] = content.pop('thermal')
    with pytest.raises(InvalidValueError, match=r"thermal = None.*did you mean 'thermals'"):
        load_profile(written(tmp_path, content))
    with pytest.raises(InvalidValueError, match=r"profile = 'tx3'.*did you mean 'tx2'"):
        load_profile('tx3')


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text((FOLDER / 'tx2.yaml').read_text() + 'arrival_fps: 20.0\n')
    with pytest.raises(InvalidValueError, match="'arrival_fps' is there twice"):
        load_profile(path)


def test_a_configuration_that_takes_no_time_is_refused(tmp_path, content):
    content['points'][0] |= {'gpu_work_ghz_s': 0.0, 'serial_s': 0.0}
    with pytest.raises(InvalidValueError, match=r'points\[0\].gpu_work_ghz_s = 0'):
        load_profile(written(tmp_path, content))


@pytest.mark.parametrize('text', [b'a: [', b'- 1', b'', b'\xff\xfe\x00', b'a: 2020-99-99'])
def test_what_is_no_profile_at_all_is_refused(tmp_path, text):
    path = tmp_path / 'mine.yaml'
    path.write_bytes(text)
    with pytest.raises(InvalidValueError, match=r'mine\.yaml'):
        load_profile(path)


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(InvalidValueError, match='agx_orin, orin_nano, tx2'):
        load_profile('xavier')
