"""``visionscaling bench-hardware``, part meter: every meter runs, and what it costs is told."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from hardware_trees import bare, pc

from visionscaling_ros.cli import bench_hardware, bench_meters
from visionscaling_ros.errors import InvalidValueError


def run(*options: str) -> int:
    parser = argparse.ArgumentParser()
    bench_hardware.add_arguments(parser)
    return bench_hardware.run(parser.parse_args(['--part', 'meter', *options]))


def test_every_meter_is_measured_on_files_of_its_own(tmp_path: Path, capsys) -> None:
    report = tmp_path / 'report.json'
    run('--seconds', '0.2', '--rate', '50', '--json', str(report))
    rows = {row['meter']: row for row in json.loads(report.read_text())['meter']}
    assert rows['ina3221']['rails'] == 6
    assert rows['ina3221']['plain_files']
    for meter in ('ina3221', 'rapl', 'battery', 'model'):
        assert rows[meter]['share'] > 0.0
        assert not rows[meter]['missing']
    assert (rows['nvml']['share'] is None) == bool(rows['nvml']['missing'])
    assert 'of one core' in capsys.readouterr().out


def test_what_a_machine_does_not_have_is_told(tmp_path: Path) -> None:
    report = tmp_path / 'report.json'
    root = str(bare(tmp_path / 'machine').root)
    run('--seconds', '0.1', '--root', root, '--json', str(report))
    rows = {row['meter']: row for row in json.loads(report.read_text())['meter']}
    assert 'no battery' in rows['battery']['missing']
    assert rows['model']['share'] is not None


def test_what_costs_too_much_fails() -> None:
    cheap = bench_meters.MeterCost('a', 'b', False, 1, 100.0, 0.019)
    dear = bench_meters.MeterCost('a', 'b', False, 1, 100.0, 0.021)
    missing = bench_meters.MeterCost('a', '', True, missing='none here')
    assert bench_meters.print_rows([cheap, missing])
    assert not bench_meters.print_rows([cheap, dear])


def test_a_meter_that_could_not_be_read_is_no_cheap_one(tmp_path: Path, capsys) -> None:
    tree = pc(tmp_path / 'machine')
    tree.write('/sys/class/power_supply/BAT0/status', 'Charging')
    report = tmp_path / 'report.json'
    assert run('--seconds', '0.1', '--root', str(tree.root), '--json', str(report)) == 1
    rows = {row['meter']: row for row in json.loads(report.read_text())['meter']}
    assert rows['battery']['share'] is None
    assert 'is not discharged' in rows['battery']['missing']
    assert 'battery: ' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('option', 'value'),
    [('--rate', '0'), ('--rate', 'nan'), ('--seconds', '0'), ('--json', '.'), ('--root', '/none')],
)
def test_what_is_not_allowed_is_told(option: str, value: str) -> None:
    with pytest.raises(InvalidValueError, match=option.strip('-')):
        run(option, value)
