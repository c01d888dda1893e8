"""``visionscaling whatif``: tables, files and exit statuses."""

from __future__ import annotations

import json

import pytest
from recorded_bags import write_run

from visionscaling_ros.cli.main import main


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
    command = ['whatif', bag, '--policies', 'local_only', '--params', str(path)]
    assert main([*command, '--set', 'accuracy_target_map=0.3', '--json', str(document)]) == 0
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
        (['--params', 'nowhere.yaml'], 'nowhere.yaml'),
        (['--set', 'accuracy_target_map=2'], 'accuracy_target_map'),
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
