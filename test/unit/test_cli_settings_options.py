"""Settings in place of those recorded: ``--params`` and ``--set``, of every command alike."""

from __future__ import annotations

import argparse

import pytest

from visionscaling_ros.cli.settings_options import AskedSettings, add_settings_options
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError


def asked(*options: str) -> AskedSettings:
    parser = argparse.ArgumentParser()
    add_settings_options(parser)
    return AskedSettings(parser.parse_args(options))


@pytest.fixture
def params(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / 'p.yaml'
        path.write_text(text, encoding='utf-8')
        return str(path)

    return write


def changed(options: list[str], namespace: str = '/drone1') -> ControlSettings:
    return asked(*options).of_robots([namespace])[namespace](ControlSettings(weight_energy=2.0))


@pytest.mark.parametrize(
    'section',
    ['/**', '/**/controller_node', '/*/controller_node', 'controller_node',
     '/drone1/controller_node', 'drone1/controller_node', '/drone1/*'],
)  # fmt: skip
def test_a_section_for_the_robots_controller_counts(params, section):
    path = params(f'{section}: {{ros__parameters: {{weight_rate: 3}}}}')
    assert changed(['--params', path]) == ControlSettings(weight_energy=2.0, weight_rate=3.0)


def test_a_section_may_have_a_level_for_every_part_of_the_name(params):
    path = params('/a: {b: {controller_node: {ros__parameters: {weight_rate: 3.0}}}}')
    assert changed(['--params', path], '/a/b').weight_rate == 3.0


@pytest.mark.parametrize(
    'section', ['/drone2/controller_node', '/drone1/camera_node', '/*/*/controller_node',
                '/drone1/x/controller_node', '/**/camera_node'],
)  # fmt: skip
def test_other_sections_do_not(params, section):
    path = params(
        f'{section}: {{ros__parameters: {{weight_rate: 3}}}}\n'
        '/drone1/controller_node: {ros__parameters: {seed: 4}}\n'
    )
    assert changed(['--params', path]) == ControlSettings(weight_energy=2.0, seed=4)


def test_of_every_nodes_parameters_only_the_controllers_count_and_later_ones_win(params):
    path = params(
        '/**: {ros__parameters: {rate_fps: 10.0, weight_rate: 3.0, seed: 5}}\n'
        '/**/camera_node: {ros__parameters: {source: synthetic}}\n'
        '/**/controller_node: {ros__parameters: {weight_rate: 4.0, allowed_models: [""],\n'
        '  slot_duration_s: 2.0, policy: dms}}\n'
    )
    change = asked('--params', path, '--set', 'seed=6').of_robots(['/'])['/']
    assert change(ControlSettings()) == ControlSettings(weight_rate=4.0, seed=6)
    assert change.policy == 'dms'


def test_a_robot_the_file_has_nothing_for_keeps_its_settings(params, capsys):
    path = params('/a/controller_node: {ros__parameters: {weight_rate: 3.0}}')
    changes = asked('--params', path, '--set', 'seed=6').of_robots(['/a', '/b'])
    assert changes['/a'](ControlSettings()) == ControlSettings(weight_rate=3.0, seed=6)
    assert changes['/b'](ControlSettings()) == ControlSettings(seed=6)
    assert 'sets nothing for /b' in capsys.readouterr().err
    with pytest.raises(InvalidValueError, match='controller_node of /c'):
        asked('--params', path).of_robots(['/c'])


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
        ('controller_node: {ros__parameters: {policy: [dms]}}', 'policy'),
        ('/**: {ros__parameters: {use_sim_time: true}}', 'controller_node of /'),
        ('[]', 'mapping'),
        ('{', 'a ROS 2 parameter file'),
    ],
)
def test_a_bad_parameter_file_is_refused(params, text, words):
    with pytest.raises(InvalidValueError, match=words):
        asked('--params', params(text)).of_robots(['/'])


@pytest.mark.parametrize(
    ('text', 'changes'),
    [
        ('weight_rate=3', {'weight_rate': 3.0}),
        ('switching_cost=1e-3', {'switching_cost': 1e-3}),
        ('allow_edge=false', {'allow_edge': False}),
        ('allowed_models=[a, b]', {'allowed_models': ('a', 'b')}),
        ('fixed_model=yolov8n', {'fixed_model': 'yolov8n'}),
    ],
)
def test_a_parameter_can_be_set(text, changes):
    assert changed(['--set', text]) == ControlSettings(weight_energy=2.0, **changes)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('weight_rate', 'NAME=VALUE'),
        ('weight_rate=', 'type float'),
        ('weight_rate=nan', 'weight_rate'),
        ('weight_rate={', 'as in a parameter file'),
        ('seed=1.5', 'type int'),
        ('weight_rat=3', "did you mean 'weight_rate'"),
        ('policy=dsm', "did you mean 'dms'"),
    ],
)
def test_what_makes_no_sense_is_refused(text, words):
    with pytest.raises(InvalidValueError, match=words):
        asked('--set', text)
