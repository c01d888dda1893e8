"""``visionscaling profile``, the whole of it on a tiny task."""

from __future__ import annotations

import os
import signal

import pytest
import rich.progress
import yaml

from visionscaling_ros.cli import main as command
from visionscaling_ros.hardware.state_folder import state_folder
from visionscaling_ros.simulation.profile import load_profile
from visionscaling_ros.vision.catalog import built_in_catalog

BROKEN = """\
name: broken
format: torchscript
file: broken.pt
input_sizes_px: [64]
input: {layout: nchw, color: bgr, scale: 0.00392156862745098}
output: {decoder: yolov8}
classes: [thing]
accuracy: {map_50_95: {64: 0.5}, source: nobody}
"""


@pytest.fixture
def model():
    return built_in_catalog().names()[0]


@pytest.fixture
def size_px(model):
    return built_in_catalog().entry(model).input_sizes_px[0]


@pytest.fixture
def profile(tmp_path, monkeypatch, model, size_px):
    """Runs the command on one model and size, at two levels of an emulated clock."""
    monkeypatch.setenv('VISIONSCALING_STATE_HOME', str(tmp_path))
    monkeypatch.setitem(command.COMMANDS, 'profile', 'profile')

    def run(*options, models=(model,)):
        return command.main([
            'profile', '--models', *models, '--sizes', str(size_px), '--engines', 'torch',
            '--backend', 'emulated', '--levels', '2', '--rounds', '2',
            '--out', str(tmp_path / 'mine.yaml'), *options,
        ])  # fmt: skip

    return run


def test_a_tiny_run_makes_a_profile_that_the_simulator_takes(
    tmp_path, profile, model, size_px, capsys
):
    assert profile('--arrival-fps', '7', '--radio-fixed-w', '0.25') == 0
    loaded = load_profile(tmp_path / 'mine.yaml')
    (point,) = loaded.points
    assert (point.model, point.input_size_px) == (model, size_px)
    assert point.accuracy_map == pytest.approx(
        built_in_catalog().entry(model).accuracy_map(size_px), rel=1e-4
    )
    assert point.gpu_work_ghz_s > 0.0
    assert point.upload_bits > 1000.0
    assert loaded.engine_of(model) == {size_px: 'torch'}
    assert (loaded.arrival_fps, loaded.device.radio_fixed_w) == (7.0, 0.25)
    assert len(loaded.device.available_frequencies_hz) == 11
    content = yaml.safe_load((tmp_path / 'mine.yaml').read_text())['measurements']
    assert [item['frequency_mhz'] for item in content['medians']] == [306.0, 1300.5]
    assert [item['rounds'] for item in content['medians']] == [2, 2]
    assert content['points'][0]['gflops_counted']
    assert (content['meter'], content['clock_backend']) == ('model', 'emulated')
    assert (tmp_path / 'mine.png').read_bytes().startswith(b'\x89PNG')
    assert str(tmp_path / 'mine.yaml') in capsys.readouterr().out
    state = state_folder()
    assert (state / 'emulated_gpu-profile').read_text().strip() == ''
    assert not list(state.glob('*.found'))
    device = str(tmp_path / 'mine.yaml')
    assert command.main(['sim', '--device', device, '--slots', '10']) == 0


def test_the_same_command_again_measures_nothing_and_more_rounds_go_on(tmp_path, profile):
    assert profile() == 0
    journal = tmp_path / 'mine.yaml.journal'
    lines = journal.read_bytes().splitlines()
    text = (tmp_path / 'mine.yaml').read_text()
    assert profile() == 0
    assert journal.read_bytes().splitlines() == lines
    assert (tmp_path / 'mine.yaml').read_text() == text
    assert profile('--rounds', '3') == 0
    more = journal.read_bytes().splitlines()
    assert more[: len(lines)] == lines
    assert len(more) > len(lines)


def test_other_settings_are_refused_until_restart(profile, capsys):
    assert profile() == 0
    assert profile('--seed', '1') == 2
    assert '--restart' in capsys.readouterr().err
    assert profile('--seed', '1', '--restart') == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_journal_and_writes_nothing_else(
    tmp_path, profile, monkeypatch, capsys, number
):
    update = rich.progress.Progress.update
    seen = []

    def update_and_kill(self, *arguments, **fields):
        seen.append(1)
        if len(seen) == 4:
            os.kill(os.getpid(), number)
        update(self, *arguments, **fields)

    monkeypatch.setattr(rich.progress.Progress, 'update', update_and_kill)
    (tmp_path / 'mine.yaml').write_text('old\n')
    assert profile() == 130
    assert (tmp_path / 'mine.yaml').read_text() == 'old\n'
    assert not (tmp_path / 'mine.png').exists()
    assert 'the same command goes on from there' in capsys.readouterr().err
    assert (tmp_path / 'mine.yaml.journal').read_bytes().count(b'\n') == 1 + 3
    assert not list(state_folder().glob('*.found'))
    assert profile() == 0
    assert load_profile(tmp_path / 'mine.yaml').points


def test_a_model_that_cannot_be_loaded_is_left_out_by_name(tmp_path, profile, model, capsys):
    (tmp_path / 'broken.pt').write_bytes(b'no model')
    manifest = tmp_path / 'broken.yaml'
    manifest.write_text(BROKEN)
    both = ('--sizes', '64', str(built_in_catalog().entry(model).input_sizes_px[0]))
    assert profile('--manifest', str(manifest), *both, models=(model, 'broken')) == 0
    assert 'left out (--restart tries again): broken 64 px torch: ' in capsys.readouterr().err
    assert [point.model for point in load_profile(tmp_path / 'mine.yaml').points] == [model]
    content = yaml.safe_load((tmp_path / 'mine.yaml').read_text())
    (left_out,) = content['measurements']['left_out']
    assert left_out['model'] == 'broken'


def test_when_nothing_could_be_measured_there_is_no_profile(tmp_path, profile, capsys):
    (tmp_path / 'broken.pt').write_bytes(b'no model')
    manifest = tmp_path / 'broken.yaml'
    manifest.write_text(BROKEN)
    options = ('--manifest', str(manifest), '--sizes', '64')
    assert profile(*options, models=('broken',)) == 2
    assert 'broken.pt' in capsys.readouterr().err
    assert not (tmp_path / 'mine.yaml').exists()


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (('--levels', '0'), 'levels = 0'),
        (('--rounds', '0'), 'rounds = 0'),
        (('--threads', '0'), 'threads = 0'),
        (('--seed', '-1'), 'seed = -1'),
        (('--budget-seconds', '0'), 'budget_seconds = 0.0'),
        (('--budget-seconds', 'nan'), 'budget_seconds = nan'),
        (('--jpeg-quality', '0'), 'jpeg_quality = 0'),
        (('--arrival-fps', '0'), 'arrival_fps = 0.0'),
        (('--base-w', '-1'), 'base_w = -1.0'),
        (('--target', '42'), 'accuracy_target_map = 42.0'),
        (('--backend', 'nvidia'), "--backend = 'nvidia'"),
        (('--meter', 'multimeter'), "--meter = 'multimeter'"),
        (('--like', 'xavier'), "profile = 'xavier'"),
        (('--models', 'yolo9000'), "model = 'yolo9000'"),
        (('--sizes', '33'), 'sizes = 33'),
        (('--engines', 'abacus'), "engines = 'abacus'"),
        (('--plot', 'mine.txt'), "plot = 'mine.txt'"),
        (('--out', '.'), "out = '.'"),
    ],
)
def test_what_is_not_allowed_is_told_with_what_is(tmp_path, profile, capsys, options, says):
    assert profile(*options) == 2
    error = capsys.readouterr().err
    assert says in error
    assert 'allowed: ' in error
    assert ' %' not in error  # no bar
    assert not (tmp_path / 'mine.yaml').exists()
