"""``visionscaling whatif``: tables, files and exit statuses."""

from __future__ import annotations

import json

import pytest
from recorded_bags import write_run

from visionscaling_ros.cli.main import main
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.whatif.settings_file import read_settings


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('bag') / 'run'
    return str(write_run(path, slots=40, scenario='outages', seed=3, namespace='/drone1'))


def told(capsys) -> tuple[str, str]:
    output = capsys.readouterr()
    return output.out, output.err


def test_the_recorded_policy_is_always_in_the_table(bag, capsys, tmp_path):
    document = tmp_path / 'out' / 'w.json'
    picture = tmp_path / 'out' / 'w.png'
    command = ['whatif', bag, '--policies', 'fixed', '--json', str(document)]
    assert main([*command, '--plot', str(picture)]) == 0
    out, err = told(capsys)
    assert err == ''
    for words in ('measured in the bag', 'same, by the model', 'visionscaling_meta', 'fixed',
                  'each of 7 stretches', 'bias', 'not to be told apart'):  # fmt: skip
        assert words in out
    assert max(map(len, out.splitlines())) <= 140
    (run,) = json.loads(document.read_text(encoding='utf-8'))['runs']
    assert run['namespace'] == '/drone1'
    rows = [row['policy'] for row in run['rows']]
    assert rows == ['measured', 'recorded', 'visionscaling_meta', 'fixed']
    assert set(run['model_error']['by_figure']['power_w']) == {
        'bias_percent', 'slot_percent', 'uncertainty',
    }  # fmt: skip
    assert run['rows'][3]['power_w'] > run['rows'][2]['power_w']
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_settings_of_a_parameter_file_are_played_by(bag, capsys, tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text(
        '/**/controller_node:\n  ros__parameters:\n    policy: fixed\n    fixed_model: yolov8n\n',
        encoding='utf-8',
    )
    document = tmp_path / 'w.json'
    command = ['whatif', bag, '--policies', 'local_only', '--settings', str(path)]
    assert main([*command, '--target-map', '0.3', '--json', str(document)]) == 0
    (run,) = json.loads(document.read_text(encoding='utf-8'))['runs']
    assert [row['policy'] for row in run['rows'][2:]] == [
        'visionscaling_meta', 'fixed', 'local_only',
    ]  # fmt: skip
    assert run['settings']['fixed_model'] == 'yolov8n'
    assert run['settings']['accuracy_target_map'] == 0.3


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--policies', 'fxed'], "did you mean 'fixed'?"),
        (['--policies', ','], 'some of visionscaling_meta'),
        (['--namespace', '/drone2'], '/drone2'),
        (['--plot', 'picture.docx'], '.png'),
        (['--seed', '-1'], '0 or more'),
        (['--settings', 'nowhere.yaml'], 'nowhere.yaml'),
        (['--target-map', '2'], 'accuracy_target_map'),
    ],
)
def test_what_makes_no_sense_is_refused(bag, capsys, options, words):
    assert main(['whatif', bag, *options]) == 2
    assert words in told(capsys)[1]


def test_a_short_run_says_what_cannot_be_said(tmp_path, capsys):
    path = write_run(tmp_path / 'bag', slots=6)
    assert main(['whatif', str(path), '--json', str(tmp_path / 'w.json')]) == 2
    assert '5 decided slots' in told(capsys)[1]
    assert not (tmp_path / 'w.json').exists()


# ---- parameter files


@pytest.mark.parametrize(
    'section', ['/**', '/**/controller_node', '/*/controller_node', 'controller_node',
                '/drone1/controller_node'],
)  # fmt: skip
def test_a_section_for_the_robots_controller_counts(tmp_path, section):
    path = tmp_path / 'p.yaml'
    path.write_text(f'{section}: {{ros__parameters: {{weight_rate: 3}}}}', encoding='utf-8')
    assert read_settings(path, '/drone1', ControlSettings()) == (
        ControlSettings(weight_rate=3.0), None,
    )  # fmt: skip


def test_other_nodes_parameters_are_not_the_controllers(tmp_path):
    path = tmp_path / 'p.yaml'
    path.write_text(
        '/**: {ros__parameters: {rate_fps: 10.0, weight_rate: 3.0}}\n'
        '/**/camera_node: {ros__parameters: {source: synthetic}}\n'
        '/**/controller_node: {ros__parameters: {weight_rate: 4.0, allowed_models: [""]}}\n',
        encoding='utf-8',
    )
    settings, _ = read_settings(path, '/', ControlSettings())
    assert settings == ControlSettings(weight_rate=4.0)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('/**/camera_node: {ros__parameters: {}}', 'section /\\*\\*/controller_node'),
        ('controller_node: {ros__parameters: 3}', 'ros__parameters with values'),
        ('controller_node: {ros__parameters: {wieght_rate: 3.0}}', "did you mean 'weight_rate'"),
        ('controller_node: {ros__parameters: {weight_rate: much}}', 'weight_rate'),
        ('controller_node: {ros__parameters: {weight_rate: -1.0}}', 'weight_rate'),
        ('controller_node: {ros__parameters: {allow_edge: 1}}', 'allow_edge'),
        ('controller_node: {ros__parameters: {allowed_models: x}}', 'a list of texts'),
        ('controller_node: {ros__parameters: {policy: none}}', 'policy'),
        ('[]', 'mapping'),
    ],
)
def test_a_bad_parameter_file_is_refused(tmp_path, text, words):
    path = tmp_path / 'p.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(InvalidValueError, match=words):
        read_settings(path, '/', ControlSettings())
