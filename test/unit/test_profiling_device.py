"""Measurements on this machine: models that fail, clocks that are given back, frames."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hardware_trees import orin_nano

from visionscaling_ros.cli.profile import stopped_as_by_ctrl_c
from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import HardwareError, InvalidValueError, ModelError, SourceError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.profiling.campaign import without_rest
from visionscaling_ros.profiling.clocks import choose_clock, guarded, levels_hz
from visionscaling_ros.profiling.device_fits import PowerFit
from visionscaling_ros.profiling.device_runner import FRAMES_A_TURN, DeviceRunner
from visionscaling_ros.profiling.environment import environment
from visionscaling_ros.profiling.frames import frames_digest, measurement_frames
from visionscaling_ros.profiling.journal import Journal
from visionscaling_ros.profiling.meters import opened_meter
from visionscaling_ros.profiling.power_meter import ModelMeter
from visionscaling_ros.profiling.profile_document import Setting
from visionscaling_ros.profiling.schedule import (
    Candidate,
    IdleVisit,
    JpegVisit,
    Plan,
    PointVisit,
    Turn,
)
from visionscaling_ros.profiling.session import take_turns
from visionscaling_ros.simulation.profile import load_profile
from visionscaling_ros.vision.detector import Prepared, RawOutput
from visionscaling_ros.vision.letterbox import fit, resize_image

LEVELS_HZ = (0.5e9, 1e9)
CANDIDATE = Candidate('own', 64, 'torch')


class OwnDetector:
    """Finds nothing; what ``forward`` does is the test's."""

    name, class_names, input_sizes_px = 'own', ('thing',), (64,)

    def __init__(self, forward=lambda: None):
        self._forward = forward
        self.prepared = 0

    def warm_up(self, input_size_px):
        self._forward()

    def preprocess(self, image_bgr, input_size_px):
        self.prepared += 1
        geometry = fit(image_bgr.shape[1], image_bgr.shape[0], input_size_px)
        image = resize_image(image_bgr, *geometry.inner_size_px)
        return Prepared(image[None].astype(np.float32), geometry)

    def forward(self, prepared):
        self._forward()
        return RawOutput((prepared.batch,))

    def postprocess(self, raw, prepared):
        return Detections.empty()


def guarded_clock(backend, levels_hz, folder):
    choice = choose_clock(backend, levels_hz, folder, files=DeviceFiles(folder))
    return guarded(choice.clock, folder)


@pytest.fixture(scope='module')
def frames():
    return measurement_frames(0, None)


@pytest.fixture
def guard(tmp_path):
    with guarded_clock('emulated', LEVELS_HZ, tmp_path) as guard:
        yield guard


def runner(guard, frames, load=lambda model, engine: OwnDetector()):
    meter = ModelMeter(GpuPowerModel(2.0, 1.0))
    return DeviceRunner(load, lambda model: True, frames, guard, meter, jpeg_quality=80)


def point(frequency_hz, round_number=0):
    return Turn(0, round_number, PointVisit(CANDIDATE, frequency_hz))


def test_a_turn_runs_its_frames_at_its_clock(guard, frames):
    detector = OwnDetector()
    a_runner = runner(guard, frames, lambda model, engine: detector)
    for level_hz in LEVELS_HZ:
        figures = a_runner.measure(point(level_hz))
        assert guard.clock.frequency_hz() == level_hz
        assert len(figures['network_s']) == len(figures['serial_s']) == FRAMES_A_TURN
        assert min(*figures['network_s'], *figures['serial_s']) > 0.0
        (busy_s,), (duration_s,) = figures['busy_s'], figures['duration_s']
        assert busy_s <= duration_s
        dynamic_j = 2.0 * (level_hz * 1e-9) ** 3 * busy_s
        assert figures['energy_j'] == pytest.approx((duration_s + dynamic_j,))
    # each turn: one frame that is not counted; the first one also counts the work
    assert detector.prepared == 2 * (FRAMES_A_TURN + 1) + 1


def test_a_slow_emulated_clock_is_slept_for(guard, frames, monkeypatch):
    slept_s = []
    monkeypatch.setattr('time.sleep', slept_s.append)
    a_runner = runner(guard, frames)
    a_runner.measure(point(1e9))
    assert slept_s == []
    a_runner.measure(point(0.5e9))
    assert len(slept_s) == FRAMES_A_TURN
    assert min(slept_s) > 0.0


def test_detectors_are_loaded_once_for_all_sizes_and_clocks(guard, frames):
    loaded = []

    def load(model, engine):
        loaded.append((model, engine))
        return OwnDetector()

    a_runner = runner(guard, frames, load)
    for size_px in (64, 96):
        for level_hz in LEVELS_HZ:
            visit = PointVisit(Candidate('own', size_px, 'torch'), level_hz)
            a_runner.measure(Turn(0, 0, visit))
    assert loaded == [('own', 'torch')]


def test_work_is_counted_once_per_size_in_torch_whatever_engine_runs(guard, frames):
    loaded = []

    def load(model, engine):
        loaded.append(engine)
        return OwnDetector(lambda: torch.ones(10, 10) @ torch.ones(10, 10))

    a_runner = runner(guard, frames, load)
    turns = [Turn(0, 0, PointVisit(Candidate('own', size_px, engine), 1e9))
             for size_px in (64, 96) for engine in ('onnxruntime', 'torch')]  # fmt: skip
    counts = [a_runner.measure(turn).get('gflops') for turn in turns]
    assert counts == [(2000 * 1e-9,), None, (2000 * 1e-9,), None]
    assert loaded == ['onnxruntime', 'torch']


def test_a_model_torch_cannot_load_is_measured_without_its_work(guard, frames):
    def load(model, engine):
        if engine == 'torch':
            raise ModelError('no such file')
        return OwnDetector()

    turn = Turn(0, 0, PointVisit(Candidate('own', 64, 'onnxruntime'), 1e9))
    figures = runner(guard, frames, load).measure(turn)
    assert 'gflops' not in figures
    assert len(figures['network_s']) == FRAMES_A_TURN


@pytest.mark.parametrize('error', [RuntimeError('out of memory'), ModelError('NaN'), MemoryError()])
@pytest.mark.parametrize('where', ['load', 'forward'])
def test_whatever_a_model_raises_is_a_model_error(guard, frames, error, where):
    def fail(*_):
        raise error

    load = fail if where == 'load' else lambda model, engine: OwnDetector(fail)
    says = 'NaN' if isinstance(error, ModelError) else type(error).__name__
    with pytest.raises(ModelError, match=says):
        runner(guard, frames, load).measure(point(1e9))


def test_idle_draws_what_the_model_says(guard, frames):
    figures = runner(guard, frames).measure(Turn(0, 0, IdleVisit(1e9)))
    assert figures['busy_s'] == (0.0,)
    assert figures['energy_j'] == pytest.approx(figures['duration_s'])


def test_uploads_are_larger_at_larger_sizes(guard, frames):
    a_runner = runner(guard, frames)
    small, large = (
        a_runner.measure(Turn(0, 0, JpegVisit(size_px, 'street'))) for size_px in (64, 320)
    )
    assert max(small['size_bytes']) < min(large['size_bytes'])
    assert len(small['encode_s']) == FRAMES_A_TURN


class StopError(Exception):
    """Something unforeseen."""


def stop_after(number, how):
    def on_progress(progress):
        if progress.turn.number == number:
            how()

    return on_progress


def measure_all(folder, frames, on_progress):
    plan = Plan((CANDIDATE,), LEVELS_HZ, ('street',), 0, 3)
    clock = guarded_clock('emulated', LEVELS_HZ, folder)
    with clock as guard, Journal(folder / 'journal', {}) as journal:
        take_turns(
            plan, runner(guard, frames).measure, journal, budget_s=1e6, now_s=lambda: 0.0,
            on_progress=on_progress,
        )  # fmt: skip


def raise_stop():
    raise StopError


@pytest.mark.parametrize(
    ('how', 'error'),
    [
        (raise_stop, StopError),
        (lambda: os.kill(os.getpid(), signal.SIGINT), KeyboardInterrupt),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), KeyboardInterrupt),
        (lambda: os.kill(os.getpid(), signal.SIGHUP), KeyboardInterrupt),
    ],
)
def test_the_clock_is_given_back_whatever_happens(tmp_path, frames, how, error):
    register = tmp_path / 'emulated_gpu-profile'
    register.write_text(f'{LEVELS_HZ[0]!r}\n')  # as somebody else had set it
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(error), stopped_as_by_ctrl_c():
        measure_all(tmp_path, frames, stop_after(4, how))
    assert signal.getsignal(signal.SIGTERM) == before
    assert register.read_text().strip() == repr(LEVELS_HZ[0])
    assert not list(tmp_path.glob('*.found'))
    with Journal(tmp_path / 'journal', {}) as journal:
        assert list(journal.records) == [0, 1, 2, 3]


def test_what_a_killed_profiler_left_is_restored_by_the_next(tmp_path):
    first = guarded_clock('emulated', LEVELS_HZ, tmp_path)
    first.set_frequency(LEVELS_HZ[0])
    with pytest.raises(HardwareError, match='already set by process'):
        guarded_clock('emulated', LEVELS_HZ, tmp_path).restore_leftover()
    first._lock.drop()  # as the kernel does when it is killed
    with guarded_clock('emulated', LEVELS_HZ, tmp_path) as second:
        assert second.restore_leftover()
        assert second.clock.frequency_hz() == LEVELS_HZ[-1]


def test_without_a_clock_to_set_there_is_one_level(tmp_path, frames):
    with guarded_clock('none', LEVELS_HZ, tmp_path) as guard:
        assert levels_hz(guard.clock) == (1e9,)
        assert len(runner(guard, frames).measure(point(1e9))['network_s']) == FRAMES_A_TURN
    with pytest.raises(InvalidValueError, match=r"backend = 'nvidia'.*auto, jetson, nvml"):
        guarded_clock('nvidia', LEVELS_HZ, tmp_path)


def test_frames_of_ones_own_come_on_top_of_the_street(tmp_path, frames):
    for k in range(2):
        cv2.imwrite(str(tmp_path / f'{k}.png'), np.full((48, 64, 3), 40 * k, np.uint8))
    both = measurement_frames(0, tmp_path)
    assert list(both) == ['street', 'own']
    assert [image.shape for image in both['own']] == [(48, 64, 3)] * 2
    assert frames_digest(both)['street'] == frames_digest(frames)['street']
    other = measurement_frames(1, tmp_path)
    assert frames_digest(other)['street'] != frames_digest(frames)['street']
    assert frames_digest(other)['own'] == frames_digest(both)['own']
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(SourceError, match='no image'):
        measurement_frames(0, empty)


def test_the_environment_is_the_same_every_time_and_names_no_home():
    found = environment(2)
    assert found == environment(2)
    assert found['threads'] == 2
    assert found['torch']
    assert not any(str(Path.home()) in str(value) for value in found.values())


POWER_RAIL = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input'


def measured_by(tree, meter='auto', backend='none'):
    clock = choose_clock(backend, LEVELS_HZ, tree.root, files=tree.files).clock
    return opened_meter(meter, GpuPowerModel(2.0, 1.0), clock, tree.files, 'auto')


def test_a_boards_own_meter_measures_idle_and_work(tmp_path, frames):
    tree = orin_nano(tmp_path)
    with guarded_clock('none', LEVELS_HZ, tmp_path) as guard, measured_by(tree) as (meter, words):
        assert words.startswith('ina3221 (')
        a_runner = DeviceRunner(
            lambda model, engine: OwnDetector(), lambda model: False, frames, guard, meter,
            jpeg_quality=80,
        )  # fmt: skip
        for turn in (Turn(0, 0, IdleVisit(1e9)), point(1e9)):
            figures = a_runner.measure(turn)
            ((energy_j,), (duration_s,)) = figures['energy_j'], figures['duration_s']
            assert duration_s > 0.0
            assert energy_j / duration_s == pytest.approx(4.984 * 1.856)


def test_a_stretch_is_long_enough_for_the_meter(tmp_path, frames):
    tree = orin_nano(tmp_path)
    with guarded_clock('none', LEVELS_HZ, tmp_path) as guard, measured_by(tree) as (meter, _):
        meter.least_s = 0.05
        a_runner = DeviceRunner(
            lambda model, engine: OwnDetector(), lambda model: False, frames, guard, meter,
            jpeg_quality=80,
        )  # fmt: skip
        figures = a_runner.measure(point(1e9))
        assert len(figures['network_s']) > FRAMES_A_TURN


def test_what_a_meter_does_not_know_is_left_out_of_a_point_and_stops_an_idle_turn(
    tmp_path, frames
):
    tree = orin_nano(tmp_path)
    with guarded_clock('none', LEVELS_HZ, tmp_path) as guard, measured_by(tree) as (meter, _):
        a_runner = DeviceRunner(
            lambda model, engine: OwnDetector(), lambda model: False, frames, guard, meter,
            jpeg_quality=80,
        )  # fmt: skip
        tree.write(POWER_RAIL, -500)
        figures = a_runner.measure(point(1e9))
        assert 'energy_j' not in figures
        assert len(figures['network_s']) >= FRAMES_A_TURN
        with pytest.raises(HardwareError, match=r'gaps in .*curr1_input reads -500'):
            a_runner.measure(Turn(0, 0, IdleVisit(1e9)))


@pytest.mark.parametrize(
    ('meter', 'backend', 'name'),
    [('auto', 'none', 'ina3221'), ('auto', 'emulated', 'model'), ('model', 'none', 'model'),
     ('ina3221', 'emulated', 'ina3221')],
)  # fmt: skip
def test_an_emulated_clock_is_not_measured_unless_asked(tmp_path, meter, backend, name):
    with measured_by(orin_nano(tmp_path), meter, backend) as (opened, words):
        assert opened.name == name
        assert words


def test_a_real_clock_is_set_and_given_back(tmp_path, monkeypatch, frames):
    monkeypatch.setenv('VISIONSCALING_STATE_HOME', str(tmp_path))
    tree = orin_nano(tmp_path / 'machine')
    before = tree.contents()
    choice = choose_clock('auto', LEVELS_HZ, tmp_path, files=tree.files, device='cuda')
    assert choice.clock.name == 'jetson'
    with guarded(choice.clock, tree.root) as guard:
        assert levels_hz(guard.clock) == tree.levels_hz
        runner(guard, frames).measure(point(tree.levels_hz[1]))
        assert tree.read(f'{tree.gpu}/max_freq') == str(tree.levels_hz[1])
    assert tree.contents() == before


def test_a_boards_idle_power_is_shared_between_gpu_and_rest():
    like = load_profile('agx_orin')
    setting = Setting('x', like, {}, LEVELS_HZ, 'jetson', 'ina3221', {}, 80, None)
    rest_w = like.device.base_w
    got, power = without_rest(setting, PowerFit(1.0, rest_w + 2.0, 0.9))
    assert (got.like.device.base_w, power.beta_w) == (rest_w, pytest.approx(2.0))
    got, power = without_rest(setting, PowerFit(1.0, 0.5 * rest_w, 0.9))
    assert (got.like.device.base_w, power.beta_w) == (0.5 * rest_w, 0.0)
