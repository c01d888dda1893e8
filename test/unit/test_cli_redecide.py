"""``visionscaling redecide`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from recorded_bags import write_run

from visionscaling_ros.cli.main import main


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp('bags') / 'bag', slots=30, namespace='/drone1')


def test_what_is_the_same_is_said_and_written(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['redecide', str(bag), '--json', str(tmp_path / 'again.json')]) == 0
    assert '29 of 29 decisions are the recorded ones' in capsys.readouterr().out
    (run,) = json.loads((tmp_path / 'again.json').read_text())['runs']
    assert (run['namespace'], run['same'], run['exact']) == ('/drone1', 29, True)
    assert run['decisions'][0]['recorded'] == run['decisions'][0]['decided']


def test_other_settings_are_named_and_show(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = tmp_path / 'params.yaml'
    params.write_text(
        '/drone1:\n  controller_node:\n    ros__parameters:\n      weight_energy: 40\n'
        'camera_node:\n  ros__parameters:\n    weight_energy: 7.0\n'
    )
    assert main(['redecide', str(bag), '--params', str(params)]) == 0
    shown = capsys.readouterr().out
    assert 'settings are not those of the run' in shown
    assert 'recorded ' in shown


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--policy', 'dsm'], 'dms'),
        (['--set', 'weight_energie=1'], 'weight_energy'),
        (['--set', 'weight_energy'], 'NAME=VALUE'),
        (['--set', 'weight_energy=much'], 'float'),
        (['--set', 'weight_energy=-1'], '0.0 to 1000.0'),
        (['--set', 'allow_edge=1'], 'bool'),
        (['--params', 'nowhere.yaml'], 'nowhere.yaml'),
        (['--namespace', '/drone2'], '/drone1/slot_state'),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    bag: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['redecide', str(bag), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_that_is_no_bag_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['redecide', str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
